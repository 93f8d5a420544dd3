// Inclusion in the tree of an epoch (docs/ledger.md, "The tree of an epoch"; RFC 9162).
import { equal } from "./bytes.js";
import { demand } from "./refused.js";
import { sha256 } from "./signatures.js";

export const leafHash = (payload) => sha256(Uint8Array.of(0), payload);
const nodeHash = (left, right) => sha256(Uint8Array.of(1), left, right);

export async function verifyInclusion(leaf, index, size, root, proof) {
  demand(proof.every((hash) => hash.length === 32), "bad_proof", "a hash has 32 bytes");
  demand(index >= 0n && index < size, "bad_proof", `a tree of ${size} has no leaf ${index}`);
  let [place, last, made] = [index, size - 1n, leaf];
  for (const hash of proof) {
    demand(last > 0n, "bad_proof", "the proof is too long");
    if (place & 1n || place === last) {
      made = await nodeHash(hash, made);
      while (place > 0n && !(place & 1n)) [place, last] = [place >> 1n, last >> 1n];
    } else {
      made = await nodeHash(made, hash);
    }
    [place, last] = [place >> 1n, last >> 1n];
  }
  demand(last === 0n && equal(made, root), "bad_proof", "the proof does not lead to the root");
}
