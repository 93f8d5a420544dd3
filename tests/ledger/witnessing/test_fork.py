"""What proves that a node signed two histories, and what does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ledger import cbor
from ledger.entry import EntryType, SignedEntry
from ledger.errors import BadSignature, LedgerError, Malformed, NoFork, NotCanonical, Revoked, TooLarge
from ledger.filing import read_file
from ledger.keys.key_history import KeyHistory
from ledger.proofs.checkpoint import Checkpoint, cosign, origin_of, sign_checkpoint
from ledger.proofs.note import Note
from ledger.signing import AAD_ENTRY, Signer, sign1
from ledger.witnessing.fork import (
    FORM,
    ForkKind,
    ForkProof,
    Statement,
    fork_of_checkpoints,
    fork_of_entries,
    from_fields,
    to_file,
)
from tests.ledger.key_world import FIRST, NODE, OTHER, SECOND, KeyChain
from tests.ledger.world import CLIENT, EPOCH, PROVIDER, Chain

KEYS = KeyHistory(PROVIDER.public)


def by(signer: Signer, payload: bytes) -> bytes:
    return sign1(signer, payload, AAD_ENTRY)


def two_entries() -> tuple[SignedEntry, SignedEntry]:
    chain = Chain()
    return chain.make(EntryType.NET, b"one"), chain.make(EntryType.NET, b"other")


def note(size: int = 4, root: int = 1, signer: Signer = PROVIDER, epoch: bytes = EPOCH) -> Note:
    return sign_checkpoint(signer, Checkpoint(origin_of(signer.public, epoch), size, bytes([root]) * 32))


def of_entries() -> ForkProof:
    return fork_of_entries(*two_entries())


def of_checkpoints() -> ForkProof:
    return fork_of_checkpoints(note(root=1), note(root=2), PROVIDER.public)


BOTH = pytest.mark.parametrize("make", [of_entries, of_checkpoints])


@BOTH
def test_two_statements_for_one_place_prove_it(make: Callable[[], ForkProof]) -> None:
    proof = make()
    proof.check(KEYS)
    assert (proof.node, proof.epoch) == (PROVIDER.public, EPOCH)
    assert PROVIDER.public.hex() in proof.sentence


def test_the_place_is_a_number_or_a_size() -> None:
    assert (of_entries().kind, of_entries().at) == (ForkKind.ENTRIES, 1)
    assert (of_checkpoints().kind, of_checkpoints().at) == (ForkKind.CHECKPOINTS, 4)


@BOTH
def test_one_proof_has_one_form(make: Callable[[], ForkProof]) -> None:
    proof = make()
    assert ForkProof.parse(proof.encode()) == proof
    with pytest.raises(NotCanonical):
        replace(proof, first=proof.second, second=proof.first)
    assert fork_of_entries(*two_entries()) == fork_of_entries(*two_entries()[::-1])


def test_what_an_honest_node_signs_proves_nothing() -> None:
    chain = Chain()
    before, same = chain.make(EntryType.NET, b"one"), chain.make(EntryType.NET, b"one")
    chain.add(EntryType.NET, b"one")
    after = chain.make(EntryType.NET, b"two")
    elsewhere = Chain(epoch=bytes(8)).make(EntryType.NET, b"two")
    stranger = Chain(CLIENT).make(EntryType.NET, b"one")
    for other in (same, after, elsewhere, stranger):
        with pytest.raises(NoFork):
            fork_of_entries(before, other)
    for shown in (note(), note(size=3, root=2), note(root=2, epoch=bytes(8)), note(root=2, signer=CLIENT)):
        with pytest.raises(LedgerError) as refused:
            fork_of_checkpoints(note(), shown, PROVIDER.public)
        assert refused.value.code in ("no_fork", "bad_signature")


@BOTH
def test_both_are_signed_by_the_node(make: Callable[[], ForkProof]) -> None:
    proof = make()
    for name in ("first", "second"):
        statement: Statement = getattr(proof, name)
        changed = replace(statement, signature=bytes([statement.signature[0] ^ 1]) + statement.signature[1:])
        with pytest.raises(BadSignature):
            replace(proof, **{name: changed}).check(KEYS)  # type: ignore[arg-type]


def test_another_key_can_not_accuse() -> None:
    one, other = two_entries()
    accused = replace(other, signature=by(CLIENT, other.entry.payload))
    with pytest.raises(BadSignature):
        fork_of_entries(one, accused).check(KEYS)


def test_a_cosignature_is_no_statement_of_the_log() -> None:
    checkpoint = Checkpoint(origin_of(PROVIDER.public, EPOCH), 4, bytes(32))
    line = cosign(PROVIDER, PROVIDER.public, checkpoint, 1)
    with pytest.raises(BadSignature):
        fork_of_checkpoints(note(), Note(checkpoint.text, (line,)), PROVIDER.public)


def rotated() -> tuple[KeyChain, SignedEntry, SignedEntry]:
    """A chain with another key, and two entries of that key for one place."""
    chain = KeyChain()
    chain.rotate(SECOND)
    chain.grow(2)
    one = chain.entries.pop()
    fields = replace(one.entry, body_commitment=bytes(32))
    other = replace(one, entry=fields, signature=by(SECOND, fields.payload))
    return chain, one, other


def test_the_key_of_the_place_counts() -> None:
    chain, one, other = rotated()
    proof = fork_of_entries(one, other)
    proof.check(chain.history)
    with pytest.raises(BadSignature):
        proof.check(KeyHistory(NODE))
    stale = replace(other, signature=by(FIRST, other.entry.payload))
    with pytest.raises(BadSignature):
        fork_of_entries(one, stale).check(chain.history)


def test_a_revoked_key_accuses_nobody() -> None:
    chain, one, other = rotated()
    proof = fork_of_entries(one, other)
    chain.succeed(OTHER, 2)
    with pytest.raises(Revoked):
        proof.check(chain.history)


@BOTH
def test_a_file_needs_nothing_else(make: Callable[[], ForkProof]) -> None:
    proof = make()
    form, fields = read_file(to_file(proof, []))
    assert form == FORM
    read, keys = from_fields(fields)
    assert read == proof
    read.check(keys)


def test_a_file_carries_the_keys() -> None:
    chain, one, other = rotated()
    proof = fork_of_entries(one, other)
    read, keys = from_fields(read_file(to_file(proof, chain.keys))[1])
    read.check(keys)
    assert keys == chain.history
    with pytest.raises(LedgerError):
        from_fields(read_file(to_file(proof, Chain(CLIENT).entries))[1])


def changed_file(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    fields: dict[str, Any] = read_file(to_file(of_entries(), []))[1]
    change(fields)
    return fields


WRONG_FILES: dict[str, tuple[type[LedgerError], Callable[[dict[str, Any]], object]]] = {
    "other_kind": (Malformed, lambda file: file.update(kind="heads")),
    "no_kind": (Malformed, lambda file: file.pop("kind")),
    "kind_of_the_other": (Malformed, lambda file: file.update(kind="checkpoints")),
    "more": (Malformed, lambda file: file.update(more=1)),
    "no_list": (Malformed, lambda file: file.update(keys={})),
    "no_key": (Malformed, lambda file: file.update(keys=["x"])),
    "too_many_keys": (TooLarge, lambda file: file.update(keys=["x"] * 1_001)),
    "no_text": (Malformed, lambda file: file["first"].update(payload=7)),
    "no_base64": (Malformed, lambda file: file["first"].update(payload="?")),
    "short_signature": (Malformed, lambda file: file["first"].update(signature="AAAA")),
    "one_statement": (NoFork, lambda file: file.update(first=file["second"])),
    "other_order": (NotCanonical, lambda file: file.update(first=file["second"], second=file["first"])),
}


@pytest.mark.parametrize(("error", "change"), WRONG_FILES.values(), ids=WRONG_FILES)
def test_a_file_has_one_form(error: type[LedgerError], change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(error):
        from_fields(changed_file(change))


def test_a_body_has_one_form() -> None:
    proof = of_entries()
    fields: Any = cbor.decode(proof.encode())
    for wrong in ({**fields, 0: 2}, {**fields, 0: True}, {**fields, 5: 0}, {0: 0}, [fields]):
        with pytest.raises(Malformed):
            ForkProof.parse(cbor.encode(wrong))


def test_a_checkpoint_is_text() -> None:
    with pytest.raises(Malformed):
        ForkProof(ForkKind.CHECKPOINTS, Statement(b"\xfe", bytes(64)), Statement(b"\xff", bytes(64)))


def test_the_file_is_json_for_people_too() -> None:
    file = json.loads(to_file(of_entries(), []))
    assert list(file) == ["form", "kind", "first", "second", "keys"]
