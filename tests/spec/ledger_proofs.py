"""What is right: a tree's roots and proofs, a checkpoint and a cosignature, for whoever writes a second verifier."""

from __future__ import annotations

from typing import Any

from ledger.proofs.checkpoint import Checkpoint, cosign, origin_of, sign_checkpoint
from ledger.proofs.merkle import Tree, leaf_hash
from ledger.proofs.note import Note
from tests.spec.trade import AT_S, CLIENT, PROVIDER, Trade

Json = Any

LEAVES = 9
"""Whole and not whole subtrees on either side of a proof."""


def proofs(trade: Trade) -> Json:
    """Over the provider's first entries of the trade, its genesis included, and as many again under other numbers."""
    payloads = _payloads(trade)
    tree = Tree(leaf_hash(each) for each in payloads)
    checkpoint = Checkpoint(origin_of(PROVIDER.public, bytes(range(8))), LEAVES, tree.root())
    signed = sign_checkpoint(PROVIDER.signer, checkpoint)
    line = cosign(CLIENT.signer, CLIENT.public, checkpoint, AT_S)
    return {
        "payloads": [each.hex() for each in payloads],
        "roots": [tree.root(size).hex() for size in range(LEAVES + 1)],
        "inclusion": [
            {"index": index, "size": size, "proof": _hex(tree.inclusion_proof(index, size))}
            for size in range(1, LEAVES + 1)
            for index in range(size)
        ],
        "consistency": [
            {"old": old, "size": size, "proof": _hex(tree.consistency_proof(old, size))}
            for size in range(1, LEAVES + 1)
            for old in range(size + 1)
        ],
        "node": PROVIDER.public.hex(),
        "witness": CLIENT.public.hex(),
        "cosigned_at_s": AT_S,
        "checkpoint": bytes(Note(signed.text, (*signed.signatures, line))).decode(),
    }


def _payloads(trade: Trade) -> list[bytes]:
    own = [each.signed.entry for each in trade.entries if each.signed.entry.node == PROVIDER.public]
    found = [trade.genesis["provider"].entry.payload, *(entry.payload for entry in own)]
    return [*found, *(each[::-1] for each in found)][:LEAVES]


def _hex(proof: list[bytes]) -> list[str]:
    return [each.hex() for each in proof]
