"""Checkpoints in C2SP form: ours and others', signed and cosigned."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import BadSignature, LedgerError, Malformed, NotCanonical, UnknownOrigin
from ledger.proofs.checkpoint import (
    MAX_AT_S,
    Checkpoint,
    cosign,
    open_checkpoint,
    origin_of,
    sign_checkpoint,
    verify_cosignature,
    witness_name,
    witness_of,
)
from ledger.proofs.merkle import EMPTY_ROOT, MAX_SIZE
from ledger.proofs.note import KeyType, Note, NoteSignature
from tests.ledger.published_notes import ARCHE, ARCHE_NOTE, REMORA, REMORA_AT_S, SUMDB_NOTE
from tests.ledger.world import CLIENT, EPOCH, PROVIDER

ROOT = bytes(range(32))
ORIGIN = origin_of(CLIENT.public, EPOCH)
OURS = Checkpoint(ORIGIN, 7, ROOT)
AT_S = 1_800_000_000


def test_the_three_lines() -> None:
    assert OURS.text == (
        "v2x-trade/1/8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c/0909090909090909\n"
        "7\n"
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    )
    assert OURS.place == (CLIENT.public, EPOCH)
    assert Checkpoint.parse(OURS.text) == OURS


def test_a_published_checkpoint_is_read() -> None:
    assert Checkpoint.parse(Note.parse(SUMDB_NOTE.encode()).text).size == 31_700_353
    checkpoint = open_checkpoint(Note.parse(ARCHE_NOTE.encode()), ARCHE.public)
    assert (checkpoint.origin, checkpoint.size) == (ARCHE.name, 1_432_088_532)
    with pytest.raises(UnknownOrigin):
        _ = checkpoint.place


def test_a_published_cosignature_holds_and_says_when() -> None:
    note = Note.parse(ARCHE_NOTE.encode())
    checkpoint = Checkpoint.parse(note.text)
    line = note.by(REMORA.name, REMORA.public, KeyType.COSIGNATURE)
    assert verify_cosignature(checkpoint, line, REMORA.public) == REMORA_AT_S
    for other in (replace(checkpoint, size=42), replace(checkpoint, root=ROOT), replace(checkpoint, origin="x")):
        with pytest.raises(BadSignature):
            verify_cosignature(other, line, REMORA.public)


@given(st.binary(min_size=32, max_size=32), st.integers(1, MAX_SIZE), st.binary(min_size=8, max_size=8))
def test_what_is_signed_is_read_back(root: bytes, size: int, epoch: bytes) -> None:
    checkpoint = Checkpoint(origin_of(CLIENT.public, epoch), size, root)
    note = Note.parse(bytes(sign_checkpoint(CLIENT, checkpoint)))
    assert open_checkpoint(note, CLIENT.public) == checkpoint
    assert checkpoint.place == (CLIENT.public, epoch)
    with pytest.raises(BadSignature):
        open_checkpoint(note, PROVIDER.public)


def test_a_changed_checkpoint_is_not_what_was_signed() -> None:
    signatures = sign_checkpoint(CLIENT, OURS).signatures
    for other in (replace(OURS, size=8), replace(OURS, root=bytes(32)), replace(OURS, origin=OURS.origin + "0")):
        with pytest.raises(BadSignature):
            open_checkpoint(Note(other.text, signatures), CLIENT.public)


def test_a_cosignature_is_over_the_time_too() -> None:
    line = NoteSignature.parse(cosign(PROVIDER, PROVIDER.public, OURS, AT_S).line)
    assert verify_cosignature(OURS, line, PROVIDER.public) == AT_S
    assert witness_of(line.name) == PROVIDER.public
    later = line.signature[:7] + bytes([line.signature[7] ^ 1]) + line.signature[8:]
    for signature in (later, line.signature[:-1], line.signature[8:], line.signature + b"x"):
        with pytest.raises(BadSignature):
            verify_cosignature(OURS, replace(line, signature=signature), PROVIDER.public)
    for forged in (replace(line, key_id=bytes(4)), replace(line, name=witness_name(CLIENT.public))):
        with pytest.raises(BadSignature):
            verify_cosignature(OURS, forged, PROVIDER.public)


def test_a_time_is_bounded() -> None:
    assert verify_cosignature(OURS, cosign(PROVIDER, PROVIDER.public, OURS, MAX_AT_S), PROVIDER.public) == MAX_AT_S
    beyond = cosign(PROVIDER, PROVIDER.public, OURS, MAX_AT_S + 1)
    with pytest.raises(BadSignature):
        verify_cosignature(OURS, beyond, PROVIDER.public)


def test_a_signature_does_not_pass_for_a_cosignature() -> None:
    signed, cosigned = sign_checkpoint(CLIENT, OURS).signatures[0], cosign(CLIENT, CLIENT.public, OURS, AT_S)
    with pytest.raises(BadSignature):
        verify_cosignature(OURS, signed, CLIENT.public)
    with pytest.raises(BadSignature):
        open_checkpoint(Note(OURS.text, (cosigned,)), CLIENT.public)


LINES = OURS.text.split("\n")
WRONG = {
    "nothing": (Malformed, ""),
    "two_lines": (Malformed, "\n".join(LINES[:2]) + "\n"),
    "extension": (Malformed, OURS.text + "more\n"),
    "empty_line": (Malformed, OURS.text + "\n"),
    "no_origin": (Malformed, "\n" + "\n".join(LINES[1:])),
    "leading_zero": (Malformed, OURS.text.replace("\n7\n", "\n07\n")),
    "plus": (Malformed, OURS.text.replace("\n7\n", "\n+7\n")),
    "negative": (Malformed, OURS.text.replace("\n7\n", "\n-7\n")),
    "no_size": (Malformed, OURS.text.replace("\n7\n", "\n\n")),
    "other_digits": (Malformed, OURS.text.replace("\n7\n", "\n\u0667\n")),
    "too_large": (Malformed, OURS.text.replace("\n7\n", f"\n{MAX_SIZE + 1}\n")),
    "short_root": (Malformed, OURS.text.replace("Hh8=", "Hg==")),
    "other_base64": (NotCanonical, OURS.text.replace("Hh8=", "Hh9=")),
    "url_base64": (Malformed, OURS.text.replace("AAEC", "__EC")),
    "empty_with_a_root": (Malformed, OURS.text.replace("\n7\n", "\n0\n")),
}


@pytest.mark.parametrize(("error", "text"), WRONG.values(), ids=WRONG)
def test_what_is_not_in_the_one_form_is_refused(error: type[LedgerError], text: str) -> None:
    with pytest.raises(error):
        Checkpoint.parse(text)


def test_an_empty_tree_has_its_root() -> None:
    assert Checkpoint.parse(Checkpoint(ORIGIN, 0, EMPTY_ROOT).text).size == 0


@pytest.mark.parametrize(
    "origin", [ORIGIN.upper(), ORIGIN[:-1], ORIGIN + "0", "x" + ORIGIN, ORIGIN.replace("/1/", "/2/")]
)
def test_an_origin_names_its_node_in_one_way(origin: str) -> None:
    with pytest.raises(UnknownOrigin):
        _ = replace(OURS, origin=origin).place


@pytest.mark.parametrize("name", ["", "v2x-trade/1/", ORIGIN, CLIENT.public.hex(), witness_name(CLIENT.public).upper()])
def test_a_witness_has_one_name(name: str) -> None:
    with pytest.raises(UnknownOrigin):
        witness_of(name)
