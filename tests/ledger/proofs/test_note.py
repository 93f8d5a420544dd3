"""Notes that others published are read, verified and made again byte for byte; other forms are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import BadSignature, LedgerError, Malformed, NotCanonical, RemoteLedgerError, TooLarge
from ledger.proofs.note import (
    MAX_NAME_CHARS,
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    KeyType,
    Note,
    NoteSignature,
    from_base64,
    key_id,
    sign_text,
    to_base64,
    verify_text,
)
from ledger.signing import Signer
from tests.ledger.published_notes import (
    ARCHE,
    ARCHE_NOTE,
    NEUMANN,
    NEUMANN_NOTE,
    NEUMANN_SEED,
    NEUMANN_TEXT,
    REMORA,
    SUMDB,
    SUMDB_NOTE,
    Vkey,
)

PUBLISHED = [(NEUMANN_NOTE, NEUMANN), (SUMDB_NOTE, SUMDB), (ARCHE_NOTE, ARCHE)]
LINE = NEUMANN_NOTE.split("\n\n")[1]


@pytest.mark.parametrize(("text", "key"), PUBLISHED, ids=lambda each: each.name if isinstance(each, Vkey) else "")
def test_published_notes_are_read_and_verified(text: str, key: Vkey) -> None:
    note = Note.parse(text.encode())
    assert bytes(note) == text.encode()
    verify_text(note, key.name, key.public)
    for changed in (Note("x" + note.text, note.signatures), Note(note.text + "x\n", note.signatures)):
        with pytest.raises(BadSignature):
            verify_text(changed, key.name, key.public)


@pytest.mark.parametrize("key", [NEUMANN, SUMDB, ARCHE, REMORA], ids=lambda each: each.name)
def test_published_key_ids(key: Vkey) -> None:
    assert key_id(key.name, key.public, KeyType(key.kind)) == key.key_id


def test_the_published_example_is_signed_the_same() -> None:
    signature = sign_text(Signer(NEUMANN_SEED), NEUMANN.name, NEUMANN_TEXT)
    assert bytes(Note(NEUMANN_TEXT, (signature,))) == NEUMANN_NOTE.encode()


def test_a_key_that_did_not_sign_is_told() -> None:
    note = Note.parse(NEUMANN_NOTE.encode())
    for name, public in (("PeterNeuman", NEUMANN.public), (NEUMANN.name, SUMDB.public)):
        with pytest.raises(BadSignature):
            verify_text(note, name, public)


def wrong_base64() -> list[tuple[type[LedgerError], str]]:
    return [
        (Malformed, "AAA"),
        (Malformed, "AA A"),
        (Malformed, "AAA-"),
        (Malformed, "AAAÄ"),
        (NotCanonical, "AAB="),  # two bits behind the last byte
    ]


@pytest.mark.parametrize(("error", "text"), wrong_base64())
def test_base64_has_one_form(error: type[LedgerError], text: str) -> None:
    with pytest.raises(error):
        from_base64(text)


@given(st.binary(max_size=80))
def test_base64_comes_back(data: bytes) -> None:
    assert from_base64(to_base64(data)) == data


WRONG = {
    "nothing": (Malformed, ""),
    "text_alone": (Malformed, NEUMANN_TEXT),
    "no_text": (Malformed, "\n\n" + LINE),
    "no_signature": (Malformed, NEUMANN_TEXT + "\n"),
    "no_newline_at_the_end": (Malformed, NEUMANN_NOTE[:-1]),
    "two_newlines_at_the_end": (Malformed, NEUMANN_NOTE + "\n"),
    "carriage_return": (Malformed, NEUMANN_NOTE.replace("\n", "\r\n")),
    "null": (Malformed, "\x00" + NEUMANN_NOTE),
    "hyphen_for_dash": (Malformed, NEUMANN_NOTE.replace("— ", "- ")),
    "two_spaces": (Malformed, NEUMANN_NOTE.replace("Neumann ", "Neumann  ")),
    "no_name": (Malformed, NEUMANN_NOTE.replace("PeterNeumann ", " ")),
    "plus_in_the_name": (Malformed, NEUMANN_NOTE.replace("PeterNeumann", "Peter+Neumann")),
    "space_in_the_name": (Malformed, NEUMANN_NOTE.replace("PeterNeumann", "Peter\u2003Neumann")),
    "long_name": (Malformed, NEUMANN_NOTE.replace("PeterNeumann", "P" * (MAX_NAME_CHARS + 1))),
    "no_base64": (Malformed, NEUMANN_NOTE.replace("JnAM=", "JnAM")),
    "other_base64": (NotCanonical, NEUMANN_NOTE.replace("JnAM=", "JnAN=")),
    "key_id_alone": (Malformed, f"{NEUMANN_TEXT}\n— P AAAAAA==\n"),
    "key_twice": (NotCanonical, NEUMANN_NOTE + LINE),
    "too_many": (
        TooLarge,
        NEUMANN_TEXT + "\n" + "".join(f"— P{each} AAAAAAA=\n" for each in range(MAX_SIGNATURES + 1)),
    ),
    "too_long": (TooLarge, "x" * (MAX_NOTE_BYTES - len(NEUMANN_NOTE) + 1) + NEUMANN_NOTE),
}


@pytest.mark.parametrize(("error", "text"), WRONG.values(), ids=WRONG)
def test_what_is_not_in_the_one_form_is_refused(error: type[LedgerError], text: str) -> None:
    with pytest.raises(error):
        Note.parse(text.encode())


def test_a_note_is_utf8() -> None:
    with pytest.raises(Malformed):
        Note.parse(NEUMANN_NOTE.encode("utf-16"))


def test_as_many_signatures_as_every_reader_has_to_accept() -> None:
    signatures = tuple(NoteSignature(f"P{each}", bytes(4), bytes(64)) for each in range(MAX_SIGNATURES))
    note = Note("text\n", signatures)
    assert Note.parse(bytes(note)) == note


@given(st.binary(max_size=300) | st.text(alphabet="— \nP=AZ+", max_size=80).map(str.encode))
def test_whatever_is_read_is_written_the_same(data: bytes) -> None:
    try:
        note = Note.parse(data)
    except RemoteLedgerError:
        return
    assert bytes(note) == data
