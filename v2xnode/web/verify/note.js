// Signed notes, checkpoints and cosignatures (docs/ledger.md, "Checkpoints and cosignatures"; C2SP).
import { equal, fromBase64, fromBigEndian, unhex, utf8 } from "./bytes.js";
import { demand } from "./refused.js";
import { sha256, verifyBytes } from "./signatures.js";

const MAX_NOTE_BYTES = 8192;
const MAX_SIGNATURES = 16;
const MAX_NAME_CHARS = 128;
const MAX_SIGNATURE_BYTES = 256;
const ED25519 = 1;
const COSIGNATURE = 4;
const ORIGIN = /^v2x-trade\/1\/([0-9a-f]{64})\/([0-9a-f]{16})$/;
const WITNESS = /^v2x-trade\/1\/([0-9a-f]{64})$/;
const EMPTY_ROOT = unhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

// {text, lines: [{name, keyId, signature}]}
export function readNote(note) {
  demand(utf8(note).length <= MAX_NOTE_BYTES, "too_large", `a note has ${MAX_NOTE_BYTES} bytes at most`);
  demand(!/[\u0000-\u0009\u000b-\u001f]/.test(note), "malformed", "a note has no control characters but newlines");
  const cut = note.lastIndexOf("\n\n");
  demand(cut > 0 && note.endsWith("\n") && note.length > cut + 2, "malformed", "a note is a text, an empty line, and signatures");
  const lines = note.slice(cut + 2, -1).split("\n");
  demand(lines.length <= MAX_SIGNATURES, "too_large", `a note has ${MAX_SIGNATURES} signatures at most`);
  const read = lines.map(readLine);
  const keys = new Set(read.map((line) => `${line.name} ${line.keyId}`));
  demand(keys.size === read.length, "not_canonical", "one key stands below the note twice");
  return { text: note.slice(0, cut + 1), lines: read };
}

function readLine(line) {
  const parts = line.split(" ");
  demand(parts.length >= 3 && parts[0] === "—", "malformed", "a line of signature is a dash, a name and base64");
  const [, name] = parts;
  const data = fromBase64(parts.slice(2).join(" "));
  const named = name.length > 0 && name.length <= MAX_NAME_CHARS && !/[\s+]/u.test(name);
  const whole = data.length > 4 && data.length <= 4 + MAX_SIGNATURE_BYTES;
  demand(named && whole, "malformed", "a line of signature is a dash, a name and base64");
  return { name, keyId: data.slice(0, 4), signature: data.slice(4) };
}

// {origin, node, epoch, size, root}
export function readCheckpoint(text) {
  const lines = text.split("\n");
  demand(lines.length === 4 && lines[3] === "" && lines[0], "malformed", "a checkpoint has three lines");
  demand(/^(0|[1-9][0-9]{0,18})$/.test(lines[1]), "malformed", "a size is decimal, without leading zeros");
  const [origin, size, root] = [lines[0], BigInt(lines[1]), fromBase64(lines[2])];
  demand(size < 1n << 63n && root.length === 32, "malformed", "a size is below 2^63, and a root has 32 bytes");
  demand(size > 0n || equal(root, EMPTY_ROOT), "malformed", "no leaves have one root only");
  const named = ORIGIN.exec(origin);
  demand(named, "unknown_origin", "the first line names no node and epoch");
  return { origin, node: unhex(named[1]), epoch: unhex(named[2]), size, root };
}

async function keyId(name, key, kind) {
  return (await sha256(utf8(`${name}\n`), Uint8Array.of(kind), key)).slice(0, 4);
}

async function isOf(line, name, key, kind) {
  return line.name === name && equal(line.keyId, await keyId(name, key, kind));
}

// Whether the node signed the checkpoint, and who cosigned it: every line has to hold.
export async function verifyNote(note, checkpoint, key) {
  const own = [];
  const others = [];
  for (const line of note.lines) ((await isOf(line, checkpoint.origin, key, ED25519)) ? own : others).push(line);
  demand(own.length === 1, "bad_signature", "the node did not sign the checkpoint");
  await verifyBytes(key, utf8(note.text), own[0].signature);
  return async (keyOf) => {
    const cosigners = [];
    for (const line of others) cosigners.push(await verifyCosignature(line, note.text, keyOf));
    return cosigners;
  };
}

async function verifyCosignature(line, text, keyOf) {
  const named = WITNESS.exec(line.name);
  demand(named, "unknown_origin", "the name of a cosignature is no node's");
  const node = unhex(named[1]);
  const time = fromBigEndian(line.signature.slice(0, 8));
  const whole = line.signature.length === 72 && time < 1n << 63n;
  demand(whole && (await isOf(line, line.name, keyOf(node), COSIGNATURE)), "bad_signature", "not a cosignature of that node");
  await verifyBytes(keyOf(node), utf8(`cosignature/v1\ntime ${time}\n${text}`), line.signature.slice(8));
  return { node, at_s: time };
}
