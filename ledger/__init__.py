"""Signed bytes: each node's append-only chain of entries, what it holds of other chains, and how anybody checks them.

`store.Ledger` writes (through `writer.Writer` in a thread of its own), `reader.LedgerReader` looks, `audit.verify`
checks, `entry.to_wire` and `entry.from_wire` carry entries to and from peers, `cbor` is the one codec. The package
does not know what energy is: bodies are bytes to it, and postings come from a rule of the caller's.

What strangers need: `merkle` (tree and proofs), `note` and `checkpoint` (C2SP forms), `proving` (our own checkpoints
and proofs), `witness` (what we remember of others, and cosign), `fork` and `forks` (proofs of two histories), `filing`
(the files that carry all that), `against` (a ledger beside a checkpoint that somebody kept).
"""
