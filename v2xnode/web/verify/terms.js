// The maps of a trade's messages (docs/protocol.md, "Messages"): every field within its bounds, no default spelled out.
import { decode } from "./cbor.js";
import { Refused, demand } from "./refused.js";

const [AT, AT_S, POWER, PRICE, DURATION] = [1n << 42n, 4398046511n, 10000000n, 1000000000n, 2678400000n];
const [ENERGY, AMOUNT, REGISTER, NUMBER] = [10000000n, 1n << 62n, 1n << 48n, (1n << 32n) - 1n];
const DC_BPT = 1n;
export const FIXED = 0n, TIME_OF_USE = 1n, TIERED = 2n;
export const PROVIDER = 0n, CLIENT = 1n;
export const SERVICES = ["", "V2V", "V2L", "V2H", "V2B"];

const span = (first, last) => Array.from({ length: last - first + 1 }, (_, at) => BigInt(first + at));
const REASONS = [...span(1, 19), ...span(30, 43), ...span(60, 79)];

const int = (low, high) => (value) => typeof value === "bigint" && value >= BigInt(low) && value <= BigInt(high);
const oneOf = (numbers) => (value) => typeof value === "bigint" && numbers.includes(value);
const bytes = (size) => (value) => value instanceof Uint8Array && value.length === size;
const text = (size) => (value) => typeof value === "string" && [...value].length === size && !/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u.test(value);
const listOf = (kind, low, high) => (value) => Array.isArray(value) && value.length >= low && value.length <= high && value.every(kind);
const record = (...kinds) => (value) => Array.isArray(value) && value.length === kinds.length && kinds.every((kind, at) => kind(value[at]));

const PRICE_STEP = record(int(0, 73300775), int(0, PRICE));
const FEE = record(oneOf(span(1, 2)), int(1, 1000000000));
const AMOUNTS = listOf(int(0, AMOUNT), 0, 32);
const PEER = ["peer", bytes(32)];
const SIGNED_AT = ["at_s", int(0, AT_S)];

// By key, in order: name, kind, and the default where there is one.
const MAPS = {
  REQUEST: [
    ["request_id", bytes(16)], ["provider", bytes(32)], ["service", oneOf(span(1, 4))], ["energy_wh", int(1, ENERGY)],
    ["energy_min_wh", int(1, ENERGY)], ["power_max_w", int(1, POWER)], ["power_min_w", int(0, POWER), 0n],
    ["window_ms", int(1, DURATION)], ["start_at_ms", int(0, AT), 0n], ["price_max_micro_per_kwh", int(0, PRICE)],
    ["place", listOf(int(-18000000, 18000000), 0, 2), []],
  ],
  OFFER: [
    ["request_id", bytes(16)], ["number", int(0, 3), 0n], ["energy_wh", int(1, ENERGY)], ["power_w", int(1, POWER)],
    ["profile", oneOf(span(1, 4))], ["reference", oneOf(span(0, 1)), PROVIDER], ["currency", text(3), "EUR"],
    ["price_kind", oneOf(span(0, 2)), FIXED], ["price_steps", listOf(PRICE_STEP, 1, 24)], ["fees", listOf(FEE, 0, 4), []],
    ["tax_permyriad", int(0, 10000), 0n], ["loss", record(int(0, 10000), int(0, 500000))], ["exposure_wh", int(2, ENERGY)],
    ["interval_ms", int(1000, 60000), 60000n], ["status_period_ms", int(250, 60000), 1000n], ["silence", oneOf(span(0, 1)), 0n],
    ["tolerance", record(int(0, 100000), int(0, 200000))], ["start_within_ms", int(1000, DURATION), 300000n],
    ["pause_max_ms", int(0, DURATION), 600000n], ["ttl_ms", int(1000, 3600000), 60000n], ["start_at_ms", int(0, AT), 0n],
  ],
  ACCEPT: [PEER, SIGNED_AT, ["currency", text(3), "EUR"]],
  CONFIRM: [PEER, SIGNED_AT],
  INTERVAL: [PEER, ["number", int(0, NUMBER)], ["end_at_ms", int(0, AT)], ["register_wh", int(0, REGISTER)]],
  RECEIPT: [PEER, ["number", int(0, NUMBER)], ["register_wh", int(0, REGISTER)], ["agreed_wh", int(0, ENERGY), 0n], ["amounts_micro", AMOUNTS, []]],
  DISPUTE: [PEER, SIGNED_AT, ["number", int(0, NUMBER)], ["provider_wh", int(0, ENERGY)], ["client_wh", int(0, ENERGY)], ["undisputed_wh", int(0, ENERGY)]],
  RESOLVE: [PEER, SIGNED_AT, ["agreed_wh", int(0, ENERGY)], ["amounts_micro", AMOUNTS]],
  CLOSE: [PEER, SIGNED_AT, ["reason", oneOf(REASONS)], ["receipts", int(0, NUMBER)], ["agreed_wh", int(0, ENERGY)], ["amounts_micro", AMOUNTS]],
  CLOSED: [PEER, SIGNED_AT, ["receipts", int(0, NUMBER)], ["agreed_wh", int(0, ENERGY)], ["amounts_micro", AMOUNTS]],
  REJECT: [PEER, SIGNED_AT, ["reason", oneOf(REASONS)], ["acceptable", listOf(record(oneOf(span(1, 6)), int(0, AMOUNT)), 0, 1), []]],
  VOID: [PEER, SIGNED_AT, ["reason", oneOf(REASONS)]],
};

const same = (one, other) => (Array.isArray(one) ? one.length === 0 && other.length === 0 : one === other);

const RULES = {
  REQUEST: (it) => it.energy_min_wh <= it.energy_wh && it.power_min_w <= it.power_max_w && it.place.length !== 1,
  OFFER: (it) => risesBy(it.price_steps) && risesBy(it.fees) && startsRight(it) && it.reference === (it.profile === DC_BPT ? CLIENT : PROVIDER),
};

const risesBy = (records) => records.every(([edge], at) => at === 0 || edge > records[at - 1][0]);

function startsRight(offer) {
  const [first] = offer.price_steps[0];
  if (offer.price_kind === FIXED) return offer.price_steps.length === 1 && first === 0n;
  return offer.price_kind === TIME_OF_USE || first === 0n;
}

// The fields of an encoded message by name, defaults filled in.
export function readTerms(type, encoded) {
  let map;
  try {
    map = decode(encoded);
  } catch (problem) {
    throw new Refused("malformed", `the body of ${type}: ${problem.message}`);
  }
  const fields = MAPS[type];
  demand(map instanceof Map && [...map.keys()].every((key) => key < fields.length), "malformed", `${type} is a map of known fields`);
  const found = Object.fromEntries(fields.map((field, key) => [field[0], readField(type, field, map.get(key))]));
  demand(!RULES[type] || RULES[type](found), "malformed", `${type} breaks a rule between its fields`);
  return found;
}

function readField(type, [name, fits, standard], value) {
  if (value === undefined) {
    demand(standard !== undefined, "malformed", `${type} lacks ${name}`);
    return standard;
  }
  demand(fits(value), "malformed", `${type}: ${name} is out of bounds`);
  demand(standard === undefined || !same(standard, value), "malformed", `${type}: ${name} spells out its default`);
  return value;
}
