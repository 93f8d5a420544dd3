"""Twin of market/terms/__init__.py: laws of all messages."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.entry import EntryType
from market.errors import TermsInvalid
from market.terms import (
    ENTRIES,
    MESSAGES,
    SIGNED,
    TRADE_ENTRIES,
    Accept,
    MessageType,
    Offer,
    Plug,
    Request,
    from_map,
    rebuilt_fields,
    to_map,
    type_of,
)
from market.terms.mapping import Bytes, Integer, ListOf, Octets, Text
from tests.market.terms.strategies import messages

KINDS = list(MessageType)
PLAIN = (int, bytes, str, bool)


def is_plain(value: object) -> bool:
    """Only what the ledger's codec knows: exact types, no floats, no None."""
    if type(value) is list:
        return all(is_plain(each) for each in value)
    if type(value) is dict:
        return all(type(key) is int and is_plain(each) for key, each in value.items())
    return type(value) in PLAIN


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=25)
def test_a_message_survives_its_map(kind: MessageType, data: st.DataObject) -> None:
    message = data.draw(messages(MESSAGES[kind]))
    raw = to_map(message)
    assert is_plain(raw)
    assert from_map(MESSAGES[kind], raw) == message
    assert to_map(from_map(MESSAGES[kind], raw)) == raw


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=5)
def test_unknown_and_missing_fields_are_refused(kind: MessageType, data: st.DataObject) -> None:
    raw = to_map(data.draw(messages(MESSAGES[kind])))
    with pytest.raises(TermsInvalid):
        from_map(MESSAGES[kind], {**raw, 23: 0})
    needed = [each for each in fields(MESSAGES[kind]) if each.metadata["key"] in raw and is_needed(each)]
    for each in needed:
        with pytest.raises(TermsInvalid, match=each.name):
            from_map(MESSAGES[kind], {key: value for key, value in raw.items() if key != each.metadata["key"]})


def is_needed(described: Any) -> bool:
    return type(described.default).__name__ == "_MISSING_TYPE"


def out_of_bounds(kind: Any) -> list[Any]:
    """Values just outside of a field's bounds, and of other types."""
    match kind:
        case Integer(low, high):
            return [low - 1, high + 1, True, float(low), str(low), None]
        case Bytes(size):
            return [bytes(size - 1), bytes(size + 1), "x" * size, bytearray(size), None]
        case Octets(low, high):
            return [*([bytes(low - 1)] if low else []), bytes(high + 1), "x" * high, bytearray(low), None]
        case Text(low, high):
            short = ["x" * (low - 1), "\n" * low] if low else ["\n"]
            return [*short, "x" * (high + 1), b"x" * low, None]
        case ListOf():
            return [[0] * (kind.high + 1), (), 0, None] + ([[]] if kind.low else [])
        case _:
            return ["", None, 2**63]


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=3)
def test_every_bound_of_every_field_is_refused(kind: MessageType, data: st.DataObject) -> None:
    message = data.draw(messages(MESSAGES[kind]))
    raw = to_map(message)
    for each in fields(message):
        for wrong in out_of_bounds(each.metadata["kind"]):
            with pytest.raises(TermsInvalid):
                from_map(MESSAGES[kind], {**raw, each.metadata["key"]: wrong})
            if wrong != ():  # inside, lists are tuples
                with pytest.raises(TermsInvalid):
                    replace(message, **{each.name: wrong})


def test_every_message_has_one_number() -> None:
    assert set(MESSAGES) == set(MessageType)
    assert [MESSAGES[kind] for kind in MessageType].index(Accept) == 5
    assert len(set(MESSAGES.values())) == len(MESSAGES)


def test_a_trades_entries_run_from_accept_to_closed_and_two_belong_to_no_trade() -> None:
    assert {kind.name for kind in TRADE_ENTRIES} == {
        *("ACCEPT", "CONFIRM", "REJECT", "VOID"),
        *("INTERVAL", "RECEIPT", "DISPUTE", "RESOLVE", "CLOSE", "CLOSED"),
    }
    assert {kind.name for kind in ENTRIES - TRADE_ENTRIES} == {"NET", "PAY"}
    for kind in ENTRIES:
        assert EntryType[kind.name].of_trade is (kind in TRADE_ENTRIES)
    assert {MESSAGES[kind].__name__ for kind in SIGNED} == {"Request", "Offer", "Counter"}


@given(data=st.data())
@settings(max_examples=5)
def test_a_message_knows_its_type(data: st.DataObject) -> None:
    for kind, cls in MESSAGES.items():
        assert type_of(data.draw(messages(cls))) is kind


def test_the_wire_leaves_out_what_the_receiver_knows() -> None:
    assert rebuilt_fields(MessageType.REQUEST) == ("provider",)
    assert rebuilt_fields(MessageType.OFFER) == ("request_id",)
    assert all(rebuilt_fields(kind) == ("peer",) for kind in ENTRIES)
    assert rebuilt_fields(MessageType.PLUG) == ()


@pytest.mark.parametrize("cls", list(MESSAGES.values()))
def test_keys_are_one_byte_each_and_differ(cls: type[Any]) -> None:
    keys = [each.metadata["key"] for each in fields(cls)]
    assert keys == list(range(len(keys)))
    assert set(rebuilt_fields(next(kind for kind, each in MESSAGES.items() if each is cls))) <= {
        each.name for each in fields(cls)
    }


def test_bounds_are_those_of_the_protocol() -> None:
    """The bounds that other implementations rely on, spelled out."""
    spelled = {
        (Request, "energy_wh"): (1, 10_000_000),
        (Offer, "exposure_wh"): (2, 10_000_000),
        (Offer, "interval_ms"): (1_000, 60_000),
        (Offer, "status_period_ms"): (250, 60_000),
        (Offer, "tax_permyriad"): (0, 10_000),
        (Offer, "number"): (0, 3),
        (Plug, "round"): (1, 65_535),
    }
    for (cls, name), bounds in spelled.items():
        kind = next(each.metadata["kind"] for each in fields(cls) if each.name == name)
        assert (kind.low, kind.high) == bounds
