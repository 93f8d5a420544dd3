"""Files of strangers: one form, and clear refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.entry import EntryType
from ledger.errors import LedgerError, Malformed, NotCanonical, TooLarge
from ledger.filing import (
    MAX_FILE_BYTES,
    demand_fields,
    entry_from_json,
    entry_to_json,
    list_of,
    octets_of,
    read_file,
    write_file,
)
from tests.ledger.world import REQUEST, Chain

names = st.text(max_size=8).filter(lambda name: name != "form")
values = st.recursive(
    st.integers() | st.text(max_size=8) | st.booleans() | st.none(),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(names, each, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(names, values, max_size=4))
def test_what_is_written_is_read(fields: dict[str, object]) -> None:
    assert read_file(write_file("some/1", fields)) == ("some/1", fields)


@pytest.mark.parametrize(
    ("error", "data"),
    [
        (Malformed, b""),
        (Malformed, b"{"),
        (Malformed, b"[]"),
        (Malformed, b"{}"),
        (Malformed, b'{"form": 1}'),
        (Malformed, b'{"form": "a", "form": "b"}'),
        (Malformed, b'{"form": "a", "x": {"y": 1, "y": 1}}'),
        (Malformed, b'{"form": "a", "x": 1.5}'),
        (Malformed, b'{"form": "a", "x": 1e3}'),
        (Malformed, b'{"form": "a", "x": NaN}'),
        (Malformed, b'{"form": "a"}\xff'),
        (Malformed, b"[" * 100_000),
        (Malformed, b'{"form": "a", "x": ' + b"1" * 10_000 + b"}"),
        (TooLarge, b" " * (MAX_FILE_BYTES + 1)),
    ],
)
def test_what_is_no_file_is_refused(error: type[LedgerError], data: bytes) -> None:
    with pytest.raises(error):
        read_file(data)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_file_or_a_clear_refusal(data: bytes) -> None:
    with pytest.raises(LedgerError):
        read_file(data)


def test_an_object_has_its_fields_and_no_others() -> None:
    assert demand_fields({"a": 1}, ["a"]) == {"a": 1}
    wrong: list[object] = [{}, {"a": 1, "b": 2}, {"b": 1}, [], None]
    for value in wrong:
        with pytest.raises(Malformed):
            demand_fields(value, ["a"])


def test_lists_are_bounded() -> None:
    assert list_of([1, 2], 2) == [1, 2]
    with pytest.raises(TooLarge):
        list_of([1, 2, 3], 2)
    with pytest.raises(Malformed):
        list_of({}, 2)


def test_bytes_have_one_form() -> None:
    assert octets_of("AAE=") == b"\x00\x01"
    with pytest.raises(NotCanonical):
        octets_of("AAF=")
    for value in (None, 1, "AAE"):
        with pytest.raises(Malformed):
            octets_of(value)


def test_an_entry_comes_back() -> None:
    chain = Chain()
    for signed, request_id in ((chain.entries[0], None), (chain.add(EntryType.INTERVAL, b"interval"), REQUEST)):
        assert entry_from_json(entry_to_json(signed), request_id=request_id) == signed


@pytest.mark.parametrize("field", ["payload", "signature", "salt", "body"])
def test_an_entry_is_whole(field: str) -> None:
    value: dict[str, object] = dict(entry_to_json(Chain().entries[0]))
    del value[field]
    with pytest.raises(Malformed):
        entry_from_json(value)


def test_a_signature_has_its_length() -> None:
    with pytest.raises(Malformed):
        entry_from_json({**entry_to_json(Chain().entries[0]), "signature": "AAAA"})
