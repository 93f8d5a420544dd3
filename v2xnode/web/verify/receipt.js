// Checks a receipt file of a trade, from docs/ledger.md and docs/protocol.md alone: no network, no library, no build step.
//
//   import { verifyReceipt } from "./receipt.js";
//   const report = await verifyReceipt(new Uint8Array(await file.arrayBuffer()));
//
// The report has the names of `v2xnode ledger verify FILE --json`, with BigInt for integers and hexadecimal for keys. What
// does not hold throws Refused, whose `code` is that of docs/ledger.md.
import { equal, hex, sized } from "./bytes.js";
import { fieldsOf, octets, readEntry, readMessage, verifyEntry, verifyMessage, verifyPieces } from "./entry.js";
import { readJson } from "./json.js";
import { leafHash, verifyInclusion } from "./merkle.js";
import { readHistories } from "./keys.js";
import { readCheckpoint, readNote, verifyNote } from "./note.js";
import { Refused, demand } from "./refused.js";
import { readTrade } from "./trade.js";

export { Refused } from "./refused.js";

const FORM = "v2x-receipt/1";
const OF_TRADE = new Set(["ACCEPT", "CONFIRM", "REJECT", "VOID", "INTERVAL", "RECEIPT", "DISPUTE", "RESOLVE", "CLOSE", "CLOSED"]);
const [MAX_MESSAGES, MAX_ENTRIES, MAX_KEYS, MAX_HASHES] = [16, 10000, 2000, 64];

export async function verifyReceipt(file) {
  const receipt = await readReceipt(file);
  const historyOf = await readHistories(receipt.keys);
  for (const message of receipt.messages) await verifyMessage(message, receipt.requestId);
  for (const entry of receipt.entries) await verifyPlace(entry, receipt.requestId, historyOf(entry.node));
  verifyPieces([...receipt.entries, ...receipt.keys]);
  const proven = await verifyCheckpoint(receipt, historyOf);
  const isKeyOf = (node, key) => historyOf(node).signed(key);
  const trade = readTrade(receipt.messages, receipt.entries, receipt.requestId, isKeyOf);
  return {
    node: hex(receipt.node), request_id: hex(receipt.requestId), ...trade,
    provider: hex(trade.provider), client: hex(trade.client), ...proven,
    revoked: receipt.entries.some((entry) => historyOf(entry.node).isRevoked(entry.epoch, entry.seq)),
  };
}

async function verifyPlace(entry, requestId, history) {
  await verifyEntry(entry, requestId, history.keyAt(entry.epoch, entry.seq));
  demand(history.counts(entry.epoch, entry.seq), "revoked", `entry ${entry.seq} is of a revoked key`);
}

async function readReceipt(file) {
  const value = readJson(file);
  demand(value instanceof Map && typeof value.get("form") === "string", "malformed", "the file does not name its form");
  if (value.get("form") !== FORM) throw new Refused("unknown_form", `the file is of the form ${value.get("form")}`);
  value.delete("form");
  const fields = fieldsOf(value, "node", "request_id", "messages", "entries", "keys", "checkpoint", "proofs");
  const [node, requestId, messages, entries, keys, checkpoint, proofs] = fields;
  demand(typeof checkpoint === "string", "malformed", "a checkpoint is a text");
  const receipt = {
    requestId: sized("a request id", octets(requestId), 16),
    node: sized("a node", octets(node), 32),
    messages: await Promise.all(list(messages, MAX_MESSAGES).map(readMessage)),
    entries: await Promise.all(list(entries, MAX_ENTRIES).map(readEntry)),
    keys: await Promise.all(list(keys, MAX_KEYS).map(readEntry)),
    note: checkpoint === "" ? null : readNote(checkpoint),
    proofs: list(proofs, MAX_ENTRIES).map((proof) => list(proof, MAX_HASHES).map(octets)),
  };
  demand(receipt.entries.every((entry) => OF_TRADE.has(entry.type)), "malformed", "an entry belongs to no trade");
  demand(receipt.keys.every((entry) => entry.type === "KEY"), "malformed", "an entry says nothing of keys");
  return receipt;
}

function list(value, limit) {
  demand(Array.isArray(value), "malformed", "a list is expected here");
  demand(value.length <= limit, "too_large", `a list of ${limit} at most is expected here`);
  return value;
}

async function verifyCheckpoint({ node, note, entries, proofs }, historyOf) {
  if (!note) {
    demand(proofs.length === 0, "bad_proof", "there are proofs, and no checkpoint");
    return { checkpoint_size: null, cosigners: [] };
  }
  const checkpoint = readCheckpoint(note.text);
  demand(equal(checkpoint.node, node), "unknown_origin", "the checkpoint is of another node");
  const cosignersOf = await verifyNote(note, checkpoint, historyOf(node).keyAt(checkpoint.epoch, checkpoint.size));
  const own = entries.filter((entry) => equal(entry.node, node) && equal(entry.epoch, checkpoint.epoch));
  demand(own.length === proofs.length, "bad_proof", `${proofs.length} proofs for ${own.length} entries`);
  for (const [at, entry] of own.entries()) {
    await verifyInclusion(await leafHash(entry.payload), entry.seq, checkpoint.size, checkpoint.root, proofs[at]);
  }
  const cosigners = await cosignersOf((witness) => (historyOf(witness).current.length ? historyOf(witness).current : witness));
  return { checkpoint_size: checkpoint.size, cosigners: cosigners.map((each) => ({ ...each, node: hex(each.node) })) };
}
