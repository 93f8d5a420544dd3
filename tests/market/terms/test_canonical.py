"""One value, one map: whatever a decoder takes is what the encoder would have made, to the type; and each bound of each
field is taken at both ends."""

from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.errors import TermsInvalid
from market.terms import MESSAGES, Message, MessageType, Request, from_map, to_map
from market.terms.mapping import Bytes, Integer, Kind, ListOf, Octets, Text, Thousands
from tests.market.terms.strategies import messages

KINDS = list(MessageType)
SIZES = st.sampled_from([0, 1, 2, 23, 24, 255, 256, 65_535, 65_536, 2**32, 2**42, 2**62, 2**63, 2**64])
PLAIN = st.recursive(
    st.booleans()
    | SIZES
    | SIZES.map(lambda size: -1 - size)
    | st.integers()
    | st.binary(max_size=33)
    | st.text(max_size=4)
    | st.none()
    | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)
NEAR = st.sampled_from([-1_000, -1, 1, 1_000])


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types: True is not 1, and a tuple no list."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return set(one) == set(other) and all(type(key) is int and same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@st.composite
def bent(draw: st.DrawFn, raw: Any) -> Any:
    """A plain value with something of it changed."""
    if isinstance(raw, list) and raw and draw(st.booleans()):
        place = draw(st.integers(0, len(raw) - 1))
        kept = [*raw[:place], *raw[place + 1 :]]
        return draw(st.just(kept) | bent(raw[place]).map(lambda item: [*raw[:place], item, *raw[place + 1 :]]))
    if type(raw) is int:
        return draw(NEAR.map(lambda step: raw + step) | PLAIN)
    if isinstance(raw, bytes):
        return draw(st.sampled_from([raw[:-1], raw + b"\0", raw[::-1], raw.hex(), bytearray(raw)]))
    return draw(PLAIN)


@st.composite
def bent_maps(draw: st.DrawFn, cls: type[Message]) -> dict[Any, Any]:
    """A message's map with one or two fields changed, left out, or added."""
    raw: dict[Any, Any] = to_map(draw(messages(cls)))
    for _ in range(draw(st.integers(1, 2))):
        key = draw(st.sampled_from(sorted(raw)) | st.integers(0, 24) if raw else st.integers(0, 24))
        if key in raw and draw(st.integers(0, 3)) == 0:
            del raw[key]
        else:
            raw[key] = draw(bent(raw[key]) if key in raw else PLAIN)
    return raw


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_whatever_is_decoded_is_encoded_to_the_same_map(kind: MessageType, data: st.DataObject) -> None:
    raw = data.draw(bent_maps(MESSAGES[kind]))
    try:
        message = from_map(MESSAGES[kind], raw)
    except TermsInvalid:
        return
    assert same(to_map(message), raw)


@pytest.mark.parametrize("kind", KINDS)
@given(raw=st.dictionaries(st.integers(-1, 24) | st.booleans() | st.text(max_size=1), PLAIN, max_size=6) | PLAIN)
@settings(max_examples=10, deadline=None)
def test_what_is_no_message_is_refused_and_nothing_else_is_raised(kind: MessageType, raw: Any) -> None:
    """Never another error than the documented one."""
    with suppress(TermsInvalid):
        assert same(to_map(from_map(MESSAGES[kind], raw)), raw)


def ends(kind: Kind) -> list[Any]:
    """The least and the most that a field takes."""
    match kind:
        case Integer(low, high):
            return [low, high]
        case Thousands(low, high):
            return [low * 1_000, high * 1_000]
        case Bytes(size):
            return [bytes(size), b"\xff" * size]
        case Octets(low, high):
            return [bytes(low), b"\xff" * high]
        case Text(low, high):
            return ["a" * low, "é" * high]
        case ListOf(Integer() as item, low, high):
            return [(item.low,) * low, (item.high,) * high]
        case _:
            return []


TOGETHER: dict[tuple[type[Any], str], str] = {
    (Request, "energy_wh"): "energy_min_wh",
    (Request, "energy_min_wh"): "energy_wh",
    (Request, "power_min_w"): "power_max_w",
    (Request, "power_max_w"): "power_min_w",
}
"""Fields that bound each other go to their ends together; the least power is none, which is no most."""


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=3, deadline=None)
def test_each_bound_is_taken_at_both_ends(kind: MessageType, data: st.DataObject) -> None:
    cls = MESSAGES[kind]
    message = data.draw(messages(cls))
    for each in fields(message):
        for value in ends(each.metadata["kind"]):
            partner = TOGETHER.get((cls, each.name))
            changes = {each.name: value} | ({partner: max(1, value)} if partner else {})
            if partner == "power_min_w":
                changes[partner] = 0
            at_end = replace(message, **changes)
            assert from_map(cls, to_map(at_end)) == at_end
