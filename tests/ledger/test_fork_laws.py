"""Nobody can frame an honest node with what it signed, and nobody who tells two stories gets away with both."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from ledger.entry import Entry, EntryType, SignedEntry, commit, sign_entry
from ledger.errors import RemoteLedgerError
from ledger.keys.key_history import KeyHistory, fold_keys
from ledger.proofs.checkpoint import Checkpoint, cosign, origin_of, sign_checkpoint
from ledger.proofs.merkle import leaf_hash, root_of
from ledger.proofs.note import Note
from ledger.signing import Signer
from ledger.witnessing.fork import ForkKind, ForkProof, Statement, fork_of_checkpoints, fork_of_entries
from tests.ledger.key_world import NODE, OTHER, SECOND, THIRD, KeyChain
from tests.ledger.world import EPOCH, PROVIDER, Chain

ACTS = st.sampled_from(["grow", "checkpoint", "cosign", "rotate", "restart"])
BODIES = st.lists(st.binary(max_size=2), min_size=1, max_size=6)


@dataclass(slots=True)
class Honest:
    """A node that appends before it says anything, and all that it ever signed."""

    chain: KeyChain = field(default_factory=KeyChain)
    said: list[Statement] = field(default_factory=list)
    fresh: list[Signer] = field(default_factory=lambda: [SECOND, THIRD])
    epochs: int = 1

    def act(self, name: str) -> None:
        match name:
            case "grow":
                self.chain.grow()
            case "checkpoint":
                self._checkpoint()
            case "cosign":
                self._cosign()
            case "rotate" if self.fresh:
                self.chain.rotate(self.fresh.pop(0))
            case "restart":
                self.epochs += 1
                self.chain.restart(self.epochs)

    @property
    def statements(self) -> list[Statement]:
        entries = [Statement(each.entry.payload, each.signature) for each in self.chain.entries]
        return [*entries, *self.said]

    def _here(self) -> list[SignedEntry]:
        return [each for each in self.chain.entries if each.entry.epoch == self.chain.epoch]

    def _checkpoint(self) -> None:
        here = self._here()
        root = root_of(leaf_hash(each.entry.payload) for each in here)
        note = sign_checkpoint(self.chain.signer, Checkpoint(origin_of(NODE, self.chain.epoch), len(here), root))
        self.said.append(Statement(note.text.encode(), note.signatures[0].signature))
        self.chain.grow()  # the CHECKPOINT entry

    def _cosign(self) -> None:
        """Of another node's tree, and of one that a cheat names after us."""
        for node in (OTHER.public, NODE):
            checkpoint = Checkpoint(origin_of(node, self.chain.epoch), len(self._here()), bytes([7]) * 32)
            line = cosign(self.chain.signer, NODE, checkpoint, 1)
            self.said.append(Statement(checkpoint.text.encode(), line.signature[8:]))


@given(st.lists(ACTS, max_size=8))
def test_no_two_things_that_an_honest_node_signed_prove_a_fork(acts: list[str]) -> None:
    node = Honest()
    for act in acts:
        node.act(act)
    keys = node.chain.history
    for kind, (one, other) in itertools.product(ForkKind, itertools.combinations(node.statements, 2)):
        assert not proves(kind, one, other, keys)
        assert not proves(kind, one, Statement(other.payload, one.signature), keys)


def proves(kind: ForkKind, one: Statement, other: Statement, keys: KeyHistory) -> bool:
    first, second = sorted((one, other), key=lambda each: each.payload)
    try:
        ForkProof(kind, first, second).check(keys)
    except RemoteLedgerError:
        return False
    return True


@given(BODIES, BODIES)
def test_two_stories_differ_at_a_place_that_proves_it(one: list[bytes], other: list[bytes]) -> None:
    """Whoever holds an entry of each at the first place where they differ holds the proof."""
    pairs = list(zip(told(one), told(other), strict=False))
    differing = [(ours, theirs) for ours, theirs in pairs if ours.hash != theirs.hash]
    keys = fold_keys(PROVIDER.public, [pairs[0][0]])
    for ours, theirs in differing:
        fork_of_entries(ours, theirs).check(keys)
    for size in range(1, len(pairs) + 1):
        if pairs[size - 1] in differing:
            mine, theirs_too = (checkpoint_of(story, size) for story in (told(one), told(other)))
            fork_of_checkpoints(mine, theirs_too, PROVIDER.public).check(keys)


def told(bodies: Sequence[bytes]) -> list[SignedEntry]:
    chain = Chain()
    for body in bodies:
        chain.add(EntryType.NET, body)
    return chain.entries


def checkpoint_of(story: Sequence[SignedEntry], size: int) -> Note:
    root = root_of(leaf_hash(each.entry.payload) for each in story[:size])
    return sign_checkpoint(PROVIDER, Checkpoint(origin_of(PROVIDER.public, EPOCH), size, root))


@given(st.binary(min_size=64, max_size=64), st.sampled_from(list(ForkKind)))
def test_no_made_up_signature_proves_anything(signature: bytes, kind: ForkKind) -> None:
    chain = Chain()
    honest = chain.make(EntryType.NET, b"one")
    entry = Entry(1, PROVIDER.public, EPOCH, 1, chain.entries[0].hash, EntryType.NET, b"", commit(bytes(16), b""))
    assert sign_entry(PROVIDER, entry, salt=bytes(16), body=b"", request_id=None).hash != honest.hash
    forged = Statement(entry.payload, signature)
    assert not proves(kind, Statement(honest.entry.payload, honest.signature), forged, KeyHistory(PROVIDER.public))
