"""Signed bytes: each node's append-only chain of entries, what it holds of other chains, and how anybody checks them.

What is signed stands in this folder itself: `entry` and `message` with their `signing`, the one codec `cbor`, the
rules that join entries (`chain`) and balance money (`accounts`), the strict files that carry them (`filing`). The
package does not know what energy is: bodies are bytes to it, and postings come from a rule of the caller's. The rooms,
from the ground up:

- `keys`: which key signs where
- `store`: the database; `store.ledger.Ledger` writes (through `store.writer.Writer`, in a thread of its own),
  `store.reader.LedgerReader` looks
- `proofs`: tree, checkpoints, and what a chain can show of itself
- `own`, `witnessing`: keys and epochs of our own chain that change; what is remembered of others' chains
- `audit`, `files`: `audit.verify.verify` computes all of it again; the forms in which it leaves the database
"""
