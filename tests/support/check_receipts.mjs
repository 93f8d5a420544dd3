// Reads {verifier, receipts: {name: base64}} as JSON from stdin; writes for each name what the verifier makes of it.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto; // older versions of node

const { verifier, receipts } = JSON.parse(readFileSync(0, "utf8"));
const { verifyReceipt, Refused } = await import(pathToFileURL(verifier));

const plain = (_, value) => (typeof value === "bigint" ? Number(value) : value);
const told = {};
for (const [name, file] of Object.entries(receipts)) {
  try {
    told[name] = { ok: true, report: await verifyReceipt(new Uint8Array(Buffer.from(file, "base64"))) };
  } catch (problem) {
    if (!(problem instanceof Refused)) throw problem;
    told[name] = { ok: false, code: problem.code, sentence: problem.message };
  }
}
process.stdout.write(JSON.stringify(told, plain));
