// JSON (RFC 8259) as files for strangers allow it: no name twice in an object, no fraction, no exponent.
import { Refused } from "./refused.js";

const MAX_FILE_BYTES = 16 * 1024 * 1024;
const MAX_DEPTH = 64; // the forms need five

export function readJson(bytes) {
  if (bytes.length > MAX_FILE_BYTES) throw new Refused("too_large", "a file has 16 MiB at most");
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Refused("malformed", "a file is UTF-8");
  }
  return new Reader(text).whole();
}

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  whole() {
    const value = this.value(0);
    this.blank();
    if (this.at < this.text.length) this.refuse();
    return value;
  }

  refuse(sentence = `not JSON of a known form, at character ${this.at}`) {
    throw new Refused("malformed", sentence);
  }

  blank() {
    while (" \t\n\r".includes(this.text[this.at] || "x")) this.at += 1;
  }

  takes(sign) {
    this.blank();
    if (this.text[this.at] !== sign) return false;
    this.at += 1;
    return true;
  }

  value(depth) {
    if (depth > MAX_DEPTH) this.refuse("nested too deep");
    if (this.takes("{")) return this.object(depth);
    if (this.takes("[")) return this.list(depth);
    if (this.text[this.at] === '"') return this.string();
    return this.word();
  }

  object(depth) {
    const found = new Map();
    if (this.takes("}")) return found;
    do {
      this.blank();
      const name = this.string();
      if (found.has(name) || !this.takes(":")) this.refuse();
      found.set(name, this.value(depth + 1));
    } while (this.takes(","));
    if (!this.takes("}")) this.refuse();
    return found;
  }

  list(depth) {
    const found = [];
    if (this.takes("]")) return found;
    do found.push(this.value(depth + 1));
    while (this.takes(","));
    if (!this.takes("]")) this.refuse();
    return found;
  }

  string() {
    const form = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
    form.lastIndex = this.at;
    const found = form.exec(this.text);
    if (!found) this.refuse();
    this.at = form.lastIndex;
    return JSON.parse(found[0]);
  }

  word() {
    const form = /(true|false|null)|(-?(?:0|[1-9][0-9]*))(?![.eE0-9])/y;
    form.lastIndex = this.at;
    const found = form.exec(this.text);
    if (!found) this.refuse();
    this.at = form.lastIndex;
    return found[1] ? JSON.parse(found[1]) : BigInt(found[2]);
  }
}
