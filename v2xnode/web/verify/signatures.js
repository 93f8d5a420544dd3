// SHA-256, HMAC and Ed25519 by WebCrypto, with the rules of libsodium beside it (docs/ledger.md).
import { arrayOf, bytesItem, textItem } from "./cbor.js";
import { concat, hex, unhex, utf8 } from "./bytes.js";
import { Refused, demand } from "./refused.js";

const PROTECTED = unhex("a10127"); // {1: -8}: EdDSA
const PROTECTED_ES256 = unhex("a10126"); // {1: -7}: ES256
const ORDER = (1n << 252n) + 27742317777372353535851937790883648493n;
const FIELD = (1n << 255n) - 19n;
const SMALL = new Set([
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]);

const littleEndian = (bytes) => BigInt("0x" + hex(bytes.slice().reverse()));

export async function sha256(...parts) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", concat(...parts)));
}

export async function hmac(key, message) {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", key, algorithm, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, message));
}

// Refuses unless the key made this signature over these bytes.
export async function verifyBytes(key, message, signature) {
  const sized = key.length === 32 && signature.length === 64;
  const strict = sized && isPoint(key) && isPoint(signature.slice(0, 32)) && littleEndian(signature.slice(32)) < ORDER;
  demand(strict && (await webCrypto(key, message, signature)), "bad_signature", `not the signature of ${hex(key).slice(0, 16)}…`);
}

// The sign stands in the highest bit; what is left is the point's y, below the field's prime, and not of small order.
function isPoint(bytes) {
  const bare = bytes.slice();
  bare[31] &= 0x7f;
  return !SMALL.has(hex(bare)) && littleEndian(bare) < FIELD;
}

async function webCrypto(key, message, signature) {
  let imported;
  try {
    imported = await crypto.subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
  } catch (problem) {
    if (problem.name === "NotSupportedError") throw new Refused("unsupported", "This browser's WebCrypto has no Ed25519.");
    return false;
  }
  return crypto.subtle.verify({ name: "Ed25519" }, imported, signature, message);
}

// COSE_Sign1 (RFC 9052, 4.4) with external data: the form that was signed.
function signedForm(header, payload, form) {
  return arrayOf(textItem("Signature1"), bytesItem(header), bytesItem(utf8(`v2x-trade/1 ${form}`)), bytesItem(payload));
}

export function verifyForm(key, payload, signature, form) {
  return verifyBytes(key, signedForm(PROTECTED, payload, form), signature);
}

// By a key of P-256, an uncompressed point; the signature is r || s.
export async function verifyP256(point, payload, signature, form) {
  const curve = { name: "ECDSA", namedCurve: "P-256" };
  let holds = false;
  try {
    const imported = await crypto.subtle.importKey("raw", point, curve, false, ["verify"]);
    const signed = signedForm(PROTECTED_ES256, payload, form);
    holds = await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, imported, signature, signed);
  } catch {
    holds = false; // no point of the curve
  }
  demand(holds, "bad_signature", "the meter's key has not agreed to belong to this node");
}
