// Deterministic CBOR (docs/protocol.md, "Encoding"). Integers are BigInt, byte strings Uint8Array, maps Map.
import { bigEndian, concat, fromBigEndian, utf8 } from "./bytes.js";
import { Refused, demand } from "./refused.js";

const MAX_BYTES = 1024;
const MAX_DEPTH = 8;
const INT_MAX = (1n << 63n) - 1n;
const KEY_MAX = 23;

export function decode(bytes) {
  demand(bytes.length <= MAX_BYTES, "too_large", `${MAX_BYTES} bytes are the most`);
  const reader = new Reader(bytes);
  const value = reader.value(0);
  demand(reader.at === bytes.length, "not_canonical", "bytes after the value");
  return value;
}

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  take(size) {
    demand(BigInt(this.at) + BigInt(size) <= BigInt(this.bytes.length), "malformed", "CBOR ends too early");
    const taken = this.bytes.subarray(this.at, this.at + Number(size));
    this.at += Number(size);
    return taken;
  }

  value(depth) {
    const [first] = this.take(1);
    const major = first >> 5;
    if (major >= 6) return this.simple(first);
    const argument = this.argument(first & 0x1f);
    if (major === 2) return this.take(argument).slice();
    if (major === 3) return this.text(argument);
    if (major >= 4) {
      demand(depth < MAX_DEPTH, "too_large", "nested too deep");
      return major === 4 ? this.array(argument, depth + 1) : this.map(argument, depth + 1);
    }
    demand(argument <= INT_MAX, "malformed", "an integer has 64 bits, signed");
    return major === 0 ? argument : -1n - argument;
  }

  simple(first) {
    demand(first === 0xf4 || first === 0xf5, "malformed", "no tags, floats, null or other simple values");
    return first === 0xf5;
  }

  argument(info) {
    if (info < 24) return BigInt(info);
    demand(info < 28, "not_canonical", "no indefinite lengths or reserved heads");
    const width = 1 << (info - 24);
    const argument = fromBigEndian(this.take(width));
    const least = width === 1 ? 24n : 1n << BigInt(4 * width);
    demand(argument >= least, "not_canonical", "a number is not in its shortest form");
    return argument;
  }

  text(size) {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.take(size));
    } catch (problem) {
      throw problem instanceof Refused ? problem : new Refused("malformed", "text is UTF-8");
    }
  }

  array(count, depth) {
    const values = [];
    for (let left = count; left > 0n; left -= 1n) values.push(this.value(depth));
    return values;
  }

  map(count, depth) {
    const values = new Map();
    let last = -1;
    for (let left = count; left > 0n; left -= 1n) {
      const key = this.bytes[this.at];
      demand(key <= KEY_MAX, "malformed", `a map's keys are 0 to ${KEY_MAX}`); // false, too, behind the last byte
      demand(key > last, "not_canonical", "a map's keys rise");
      this.at += 1;
      values.set(key, this.value(depth));
      last = key;
    }
    return values;
  }
}

function head(major, argument) {
  const size = BigInt(argument);
  if (size < 24n) return Uint8Array.of((major << 5) | Number(size));
  const width = size < 0x100n ? 0 : size < 0x10000n ? 1 : size < 0x100000000n ? 2 : 3;
  return concat(Uint8Array.of((major << 5) | (24 + width)), bigEndian(size, 1 << width));
}

export const intItem = (value) => head(0, value);
export const bytesItem = (bytes) => concat(head(2, bytes.length), bytes);
export const textItem = (text) => concat(head(3, utf8(text).length), utf8(text));
export const arrayOf = (...items) => concat(head(4, items.length), ...items);
