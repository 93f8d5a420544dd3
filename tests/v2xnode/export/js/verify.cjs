// Reads {key, records} as JSON from stdin; writes for each record whether the library says that its signature holds.
const { Verifier } = require("@road-labs/ocmf");
const { Crypto } = require("@road-labs/ocmf-crypto-noble");
const { readFileSync } = require("node:fs");

async function main() {
  const { key, records } = JSON.parse(readFileSync(0, "utf8"));
  const crypto = new Crypto();
  const publicKey = await crypto.decodeEcPublicKey(Buffer.from(key, "hex"), "spki-der");
  const verifier = new Verifier(crypto);
  const told = [];
  for (const record of records) told.push((await verifier.parseAndVerify(record, publicKey)).verified);
  process.stdout.write(JSON.stringify(told));
}

main();
