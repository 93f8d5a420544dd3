// Entries of chains and signed messages (docs/ledger.md, "An entry").
import { bigEndian, concat, equal, fromBase64, hex, sized } from "./bytes.js";
import { decode } from "./cbor.js";
import { demand } from "./refused.js";
import { hmac, sha256, verifyForm } from "./signatures.js";

export const TYPES = [
  ...["", "KEY", "ACCEPT", "CONFIRM", "REJECT", "VOID", "INTERVAL", "RECEIPT", "DISPUTE", "RESOLVE", "CLOSE", "CLOSED"],
  ...["NET", "PAY", "CHECKPOINT", "WITNESS", "FORK"],
];
const NEEDS_AN_ANSWER = new Set(["ACCEPT", "CONFIRM", "REJECT", "RECEIPT", "RESOLVE", "CLOSED"]);
const INT_MAX = (1n << 63n) - 1n;

const isBytes = (value, ...sizes) => value instanceof Uint8Array && sizes.includes(value.length);

// An object of a file with exactly these fields.
export function fieldsOf(value, ...names) {
  const fits = value instanceof Map && value.size === names.length && names.every((name) => value.has(name));
  demand(fits, "malformed", `the fields ${names.join(", ")} are expected here`);
  return names.map((name) => value.get(name));
}

export async function readEntry(value) {
  const [payload, signature, salt, body] = fieldsOf(value, "payload", "signature", "salt", "body").map(octets);
  sized("a signature", signature, 64);
  return { ...readPayload(payload), payload, signature, salt, body, hash: await sha256(payload) };
}

function readPayload(payload) {
  const fields = decode(payload);
  demand(Array.isArray(fields) && fields.length === 8, "malformed", "an entry is an array of eight");
  const [version, node, epoch, seq, prev, type, answers, commitment] = fields;
  const numbers = version === 1n && typeof seq === "bigint" && seq >= 0n && seq <= INT_MAX && typeof type === "bigint";
  demand(numbers && type >= 1n && type < BigInt(TYPES.length), "malformed", "an entry's version, place or type is unknown");
  const bytes = isBytes(node, 32) && isBytes(epoch, 8) && isBytes(prev, 32) && isBytes(answers, 0, 32) && isBytes(commitment, 32);
  demand(bytes, "malformed", "an entry's fields have fixed sizes");
  return { node, epoch, seq, prev, type: TYPES[Number(type)], answers, commitment };
}

export function octets(value) {
  demand(typeof value === "string", "malformed", "bytes are base64 text");
  return fromBase64(value);
}

// Salt, commitment, signature, and an answer where the type needs one.
export async function verifyEntry(entry, requestId, key) {
  demand(entry.body.length <= 1024, "malformed", "a body has 1024 bytes at most");
  const salt = (await hmac(requestId, concat(entry.epoch, bigEndian(entry.seq, 8)))).slice(0, 16);
  demand(equal(salt, entry.salt), "bad_commitment", "the salt is not that of the request id");
  const commitment = await sha256(entry.salt, entry.body);
  demand(equal(commitment, entry.commitment), "bad_commitment", "the body is not the one that is committed to");
  await verifyForm(key, entry.payload, entry.signature, "entry");
  demand(entry.answers.length > 0 || !NEEDS_AN_ANSWER.has(entry.type), "unanswered", `${entry.type} must answer something`);
}

export const placeOf = (entry) => `${hex(entry.node)} ${hex(entry.epoch)} ${entry.seq}`;

// Of the chains a receipt shows pieces: no place twice, and neighbours that fit.
export function verifyPieces(entries) {
  const places = new Map();
  for (const entry of entries) {
    const held = places.get(placeOf(entry));
    demand(!held || equal(held.hash, entry.hash), "fork", `two entries were signed for place ${entry.seq}`);
    demand(!held, "malformed", `entry ${entry.seq} stands here twice`);
    places.set(placeOf(entry), entry);
    const first = entry.prev.every((byte) => byte === 0);
    demand(entry.seq > 0n || entry.type === "KEY", "broken_chain", "an epoch begins with KEY");
    demand(entry.seq === 0n || !first, "broken_chain", "only a genesis entry has no entry before");
  }
  for (const entry of entries) {
    const before = places.get(placeOf({ ...entry, seq: entry.seq - 1n }));
    demand(!before || equal(entry.prev, before.hash), "broken_chain", `entry ${entry.seq} does not follow the one before`);
  }
}

const KINDS = { REQUEST: "request", OFFER: "offer", COUNTER: "counter" };

export async function readMessage(value) {
  const [kind, signer, payload, signature] = fieldsOf(value, "kind", "signer", "payload", "signature");
  demand(typeof kind === "string" && Object.hasOwn(KINDS, kind), "malformed", "a message is a request, an offer or a counter");
  const read = { kind, signer: sized("a signer", octets(signer), 32), payload: octets(payload) };
  return { ...read, signature: sized("a signature", octets(signature), 64), hash: await sha256(read.payload) };
}

export async function verifyMessage(message, requestId) {
  demand(message.payload.length <= 1024, "malformed", "a message has 1024 bytes at most");
  await verifyForm(message.signer, message.payload, message.signature, KINDS[message.kind]);
  const named = hex(message.payload).match(new RegExp(`^(?:..)*?50${hex(requestId)}`));
  demand(named, "malformed", "the message does not carry the request id");
}
