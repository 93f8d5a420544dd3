// Which key signs where, from a node's KEY entries (docs/ledger.md, "KEY entries").
import { equal, hex } from "./bytes.js";
import { arrayOf, bytesItem, decode, intItem } from "./cbor.js";
import { demand } from "./refused.js";
import { sha256, verifyForm, verifyP256 } from "./signatures.js";

const FIELDS = ["0 1 2", "0 1 2 6", "0 1 2 3 4 5 6 7", "0 1 2 3 4 5", "0 1 6"];
const KINDS = ["genesis", "rotation", "succession", "epoch", "meter"];
const MAX_KEYS = 1000;
const EMPTY = new Uint8Array();

const isBytes = (value, ...sizes) => value instanceof Uint8Array && sizes.includes(value.length);

function readBody(bytes) {
  const map = decode(bytes);
  demand(map instanceof Map, "malformed", "the body of a KEY entry is a map");
  if (map.size === 1 && isBytes(map.get(0), 32)) return { kind: "genesis", public: map.get(0), commitment: EMPTY };
  const at = typeof map.get(0) === "bigint" && map.get(0) >= 0n && map.get(0) < 5n ? Number(map.get(0)) : -1;
  demand(at >= 0 && [...map.keys()].join(" ") === FIELDS[at], "malformed", "no kind of KEY entry has these fields");
  return KINDS[at] === "meter" ? readMeter(map) : readKeys(KINDS[at], map);
}

function readMeter(map) {
  const [point, consent] = [map.get(1), map.get(6)];
  const fits = isBytes(point, 65) && point[0] === 4 && isBytes(consent, 64);
  demand(fits, "malformed", "a meter key is an uncompressed point, with a consent of 64 bytes");
  return { kind: "meter", point, consent };
}

function readKeys(kind, map) {
  const body = { kind, public: map.get(1), commitment: map.get(2), consent: map.get(6), offline: map.get(7) };
  const retired = kind === "succession" && isBytes(body.public, 0);
  demand(retired || isBytes(body.public, 32), "malformed", "a key has 32 bytes");
  demand(isBytes(body.commitment, 0, 32), "malformed", "a commitment has 32 bytes");
  demand(!map.has(6) || isBytes(body.consent, retired ? 0 : 64), "malformed", "a consent has 64 bytes");
  demand(!map.has(7) || isBytes(body.offline, 32), "malformed", "an offline key has 32 bytes");
  if (map.has(3)) body.closed = readClosed(map);
  return body;
}

function readClosed(map) {
  const [epoch, size, root] = [map.get(3), map.get(4), map.get(5)];
  const fits = isBytes(epoch, 8) && typeof size === "bigint" && size >= 1n && isBytes(root, 32);
  demand(fits, "malformed", "a closed epoch is named by its epoch, size and root");
  return { epoch: hex(epoch), size };
}

export class KeyHistory {
  constructor(node) {
    Object.assign(this, { node, current: node, commitment: EMPTY, turns: [], entries: 0 });
    Object.assign(this, { revoked: new Set(), before: new Map(), bounds: new Map() });
  }

  has(epoch) {
    return this.turns.some((turn) => turn.epoch === epoch);
  }

  keyAt(epoch, seq) {
    if (this.turns.length === 0) return this.node;
    const turns = this.turns.filter((turn) => turn.epoch === hex(epoch) && turn.seq <= seq);
    demand(turns.length > 0, "gap", "the KEY entry of this epoch is not shown");
    return turns.reduce((newest, turn) => (turn.seq > newest.seq ? turn : newest)).public;
  }

  signed(key) {
    if (this.turns.length === 0) return equal(key, this.node);
    return this.turns.some((turn) => equal(turn.public, key));
  }

  isRevoked(epoch, seq) {
    return this.revoked.has(hex(this.keyAt(epoch, seq)));
  }

  counts(epoch, seq) {
    const bound = this.bounds.get(hex(epoch));
    return !this.isRevoked(epoch, seq) || (bound !== undefined && seq < bound);
  }

  // One more KEY entry, checked in full.
  async add(entry) {
    const body = readBody(entry.body);
    const key = this.signerOf(entry, body);
    demand(entry.salt.length === 16, "malformed", "a salt has 16 bytes");
    const committed = equal(await sha256(entry.salt, entry.body), entry.commitment);
    demand(committed, "bad_commitment", "the body is not the one that is committed to");
    await verifyForm(key, entry.payload, entry.signature, "entry");
    demand(this.entries < MAX_KEYS, "too_large", `a node has ${MAX_KEYS} KEY entries at most`);
    demand(this.turns.length > 0 || body.kind === "genesis", "gap", "a node's KEY entries begin with its genesis");
    await this[body.kind](entry, body);
    this.entries += 1;
  }

  signerOf(entry, body) {
    if (body.kind === "succession") return body.offline;
    const by = { genesis: this.node, epoch: this.current };
    const key = by[body.kind] ?? this.keyAt(entry.epoch, entry.seq);
    demand(key.length > 0 && !this.revoked.has(hex(key)), "revoked", "a key is revoked: what it signs counts no more");
    return key;
  }

  begin(entry, ...keys) {
    keys.forEach((key, at) => this.turns.push({ epoch: hex(entry.epoch), seq: BigInt(at), public: key }));
  }

  async genesis(entry, body) {
    this.checkNewEpoch(entry);
    ordered(entry.prev.every((byte) => byte === 0), "a genesis entry has no entry before");
    ordered(equal(body.public, this.node), "a genesis entry names the key that signs it");
    if (this.turns.length > 0) {
      ordered(equal(this.current, this.node), "the genesis key has been rotated away");
      ordered(equal(body.commitment, this.commitment), "a second genesis names another revocation key");
    }
    this.begin(entry, body.public);
    this.commitment = body.commitment;
  }

  async rotation(entry, body) {
    ordered(entry.seq > 0n, "a rotation starts no epoch");
    ordered(equal(this.keyAt(entry.epoch, entry.seq), this.current), "this key has been rotated away");
    this.checkNewKey(body.public);
    const kept = this.commitment.length === 0 || equal(this.commitment, body.commitment);
    ordered(kept, "only the offline key may name another revocation key");
    await verifyConsent(entry, body);
    this.turns.push({ epoch: hex(entry.epoch), seq: entry.seq + 1n, public: body.public });
    [this.current, this.commitment] = [body.public, body.commitment];
  }

  async epoch(entry, body) {
    this.checkNewEpoch(entry);
    ordered(equal(body.public, this.current), "an epoch is started by the key that signs now");
    ordered(equal(body.commitment, this.commitment), "only the offline key may name another revocation key");
    this.begin(entry, body.public);
    this.before.set(hex(entry.epoch), body.closed);
  }

  async succession(entry, body) {
    this.checkNewEpoch(entry);
    ordered(equal(this.commitment, await sha256(body.offline)), "this is not the offline key that the chain names");
    this.checkNewKey(body.public);
    await verifyConsent(entry, body);
    for (const turn of this.turns) if (!equal(turn.public, body.offline)) this.revoked.add(hex(turn.public));
    this.begin(entry, body.offline, ...(body.public.length > 0 ? [body.public] : []));
    this.bounds = this.lineOf(body.closed);
    this.before.set(hex(entry.epoch), body.closed);
    [this.current, this.commitment] = [body.public, body.commitment];
  }

  async meter(entry, body) {
    ordered(entry.seq > 0n, "a meter key starts no epoch");
    await verifyP256(body.point, arrayOf(bytesItem(this.node), bytesItem(body.point)), body.consent, "meter key");
  }

  lineOf(closed) {
    const line = new Map();
    for (let each = closed; each !== undefined && !line.has(each.epoch); each = this.before.get(each.epoch)) {
      line.set(each.epoch, each.size);
    }
    return line;
  }

  checkNewEpoch(entry) {
    ordered(entry.seq === 0n, "only the first entry of an epoch starts it");
    ordered(!this.has(hex(entry.epoch)), "this epoch was started before");
  }

  checkNewKey(key) {
    ordered(!this.turns.some((turn) => equal(turn.public, key)), "this key has signed for the node before");
  }
}

const ordered = (holds, sentence) => demand(holds, "broken_chain", sentence);

async function verifyConsent(entry, body) {
  if (body.public.length === 0) return;
  const place = [bytesItem(entry.node), bytesItem(entry.epoch), intItem(entry.seq), bytesItem(entry.prev)];
  const consented = arrayOf(...place, bytesItem(body.public), bytesItem(body.commitment));
  await verifyForm(body.public, consented, body.consent, "key");
}

// By node, in hexadecimal.
export async function readHistories(entries) {
  const histories = new Map();
  for (const entry of entries) {
    const name = hex(entry.node);
    if (!histories.has(name)) histories.set(name, []);
    histories.get(name).push(entry);
  }
  for (const [name, chain] of histories) {
    const history = new KeyHistory(chain[0].node);
    for (const entry of chain) await history.add(entry);
    histories.set(name, history);
  }
  return (node) => histories.get(hex(node)) ?? new KeyHistory(node);
}
