"""Fork proofs in a ledger: kept once, found at once, given away as files."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.entry import EntryType
from ledger.errors import BadSignature, Fork, Forked, Full, Misuse, Revoked
from ledger.filing import read_file
from ledger.signing import AAD_ENTRY, Signer, sign1
from ledger.store.ledger import Ledger
from ledger.witnessing import forks
from ledger.witnessing.fork import ForkProof, fork_of_entries, from_fields
from ledger.witnessing.forks import HeldFork, demand_unforked, file_of, fork_of, is_forked, keep_fork
from tests.ledger.hands import Where
from tests.ledger.key_world import NODE, SECOND, KeyChain
from tests.ledger.world import CLIENT, PROVIDER, Chain, open_ledger


def proof(signer: Signer = PROVIDER, bodies: tuple[bytes, bytes] = (b"one", b"other")) -> ForkProof:
    chain = Chain(signer)
    one, other = (chain.make(EntryType.NET, body) for body in bodies)
    return fork_of_entries(one, other)


def kept(ledger: Ledger, shown: ForkProof) -> HeldFork:
    return ledger.transact(lambda tx: keep_fork(tx, shown))


def test_what_the_store_refuses_is_kept(ledger: Ledger) -> None:
    chain = Chain()
    one, other = chain.make(EntryType.NET, b"one"), chain.make(EntryType.NET, b"other")
    ledger.transact(lambda tx: tx.receive(one))
    with pytest.raises(Fork) as refused:
        ledger.transact(lambda tx: tx.receive(other))
    held = kept(ledger, fork_of_entries(refused.value.held, refused.value.shown))
    assert held.stored.own
    assert held.stored.type is EntryType.FORK
    assert held.proof == fork_of_entries(one, other)


def test_whoever_forked_is_known_at_once(ledger: Ledger, where: Where) -> None:
    assert not ledger.transact(lambda tx: is_forked(tx, PROVIDER.public))
    held = kept(ledger, proof())
    for each in (ledger.transact(lambda tx: fork_of(tx, PROVIDER.public)), ledger.transact(forks.forks)[0]):
        assert each == held
    assert not ledger.transact(lambda tx: is_forked(tx, NODE))
    ledger.transact(lambda tx: demand_unforked(tx, NODE))
    ledger.close()
    with open_ledger(where) as again, pytest.raises(Forked, match=PROVIDER.public.hex()):
        again.transact(lambda tx: demand_unforked(tx, PROVIDER.public))


def test_one_a_node_is_enough(ledger: Ledger) -> None:
    first = kept(ledger, proof())
    assert kept(ledger, proof()) == first
    assert kept(ledger, proof(bodies=(b"two", b"three"))) == first
    assert len(ledger.transact(forks.forks)) == 1


def test_what_does_not_prove_is_not_kept(ledger: Ledger) -> None:
    honest = proof()
    forged = ForkProof(honest.kind, honest.first, type(honest.second)(honest.second.payload, honest.first.signature))
    with pytest.raises(BadSignature):
        kept(ledger, forged)
    with pytest.raises(Misuse):
        kept(ledger, proof(CLIENT))
    assert ledger.transact(forks.forks) == []


def test_they_are_bounded(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks, "MAX_FORKS", 1)
    kept(ledger, proof())
    with pytest.raises(Full):
        kept(ledger, proof(Signer(bytes([3]) * 32)))


def test_a_file_of_it_carries_the_keys_that_are_held(ledger: Ledger) -> None:
    chain = KeyChain()
    chain.rotate(SECOND)
    receive_keys(ledger, chain)
    shown = forked(chain)
    held = kept(ledger, shown)
    read, keys = from_fields(read_file(ledger.transact(lambda tx: file_of(tx, held)))[1])
    assert read == held.proof
    assert keys == chain.history


def forked(chain: KeyChain) -> ForkProof:
    """Two entries of a node that changed its key for one place."""
    chain.grow()
    one = chain.entries[-1]
    fields = replace(one.entry, body_commitment=bytes(32))
    signature = sign1(chain.signer, fields.payload, AAD_ENTRY)
    return fork_of_entries(one, replace(one, entry=fields, signature=signature))


def receive_keys(ledger: Ledger, chain: KeyChain) -> None:
    for signed in chain.keys:
        ledger.transact(lambda tx, signed=signed: tx.receive(signed))  # type: ignore[misc]


def test_a_revoked_key_proves_nothing_new(ledger: Ledger) -> None:
    chain = KeyChain()
    shown = forked(chain)
    chain.succeed(SECOND, 2)
    receive_keys(ledger, chain)
    with pytest.raises(Revoked):
        kept(ledger, shown)
    assert not ledger.transact(lambda tx: is_forked(tx, NODE))


def test_what_was_held_before_the_revocation_stays(ledger: Ledger) -> None:
    chain = KeyChain()
    kept(ledger, forked(chain))
    chain.succeed(SECOND, 2)
    receive_keys(ledger, chain)
    assert ledger.transact(lambda tx: is_forked(tx, NODE))
