// Bytes, and the texts that stand for them.
import { Refused, demand } from "./refused.js";

const ENCODER = new TextEncoder();

export const utf8 = (text) => ENCODER.encode(text);

export function concat(...parts) {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export const equal = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

export const unhex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));

// `value` as `width` bytes, the highest first.
export function bigEndian(value, width) {
  return Uint8Array.from({ length: width }, (_, at) => Number((BigInt(value) >> BigInt(8 * (width - 1 - at))) & 0xffn));
}

export const fromBigEndian = (bytes) => bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);

// RFC 4648, 4; of several texts for the same bytes only the one that encoding gives.
export function fromBase64(text) {
  const form = /^[A-Za-z0-9+/]*={0,2}$/.test(text) && text.length % 4 === 0;
  demand(typeof text === "string" && form, "malformed", "not base64");
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  demand(btoa(String.fromCharCode(...bytes)) === text, "not_canonical", "the same bytes have another base64");
  return bytes;
}

export function sized(what, bytes, size) {
  if (bytes.length !== size) throw new Refused("malformed", `${what} has ${size} bytes`);
  return bytes;
}
