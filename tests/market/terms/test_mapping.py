"""Twin of market/terms/mapping.py."""

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any

import pytest

from market.errors import TermsInvalid
from market.terms.mapping import (
    Boolean,
    Bytes,
    Choice,
    Integer,
    Kind,
    ListOf,
    Record,
    Text,
    at,
    check,
    from_map,
    to_map,
)


class Colour(IntEnum):
    RED = 1
    BLUE = 4


class Bits(IntFlag):
    ONE = 1
    FOUR = 4


@dataclass(frozen=True, slots=True)
class Pair:
    left: int = at(0, Integer(0, 9))
    right: bool = at(1, Boolean(), False)


@dataclass(frozen=True, slots=True)
class Sample:
    size: int = at(0, Integer(-5, 5))
    colour: Colour = at(3, Choice(Colour), Colour.BLUE)
    bits: Bits = at(4, Choice(Bits), Bits(0))
    pairs: tuple[Pair, ...] = at(5, ListOf(Record(Pair), 0, 2), ())
    name: str = at(6, Text(1, 3), "abc")

    def __post_init__(self) -> None:
        check(self)


FULL = Sample(-5, Colour.RED, Bits.ONE | Bits.FOUR, (Pair(9, True), Pair(0)), "é")
FULL_MAP = {0: -5, 3: 1, 4: 5, 5: [[9, True], [0, False]], 6: "é"}


def test_a_value_becomes_a_plain_map_and_back() -> None:
    assert to_map(FULL) == FULL_MAP
    assert [type(value) for value in to_map(FULL).values()] == [int, int, int, list, str]
    assert from_map(Sample, FULL_MAP) == FULL


def test_defaults_are_left_out() -> None:
    assert to_map(Sample(2)) == {0: 2}
    assert from_map(Sample, {0: 2}) == Sample(2, Colour.BLUE, Bits(0), (), "abc")


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({}, "size"),
        ({0: 1, 1: 0}, "1"),
        ({0: 1, "0": 1}, "0"),
        ({False: 1}, "False"),
        ({0: 1, 3: 4}, "colour"),
        ({0: 1, 4: 0}, "bits"),
        ({0: 1, 5: []}, "pairs"),
        ({0: 1, 6: "abc"}, "name"),
        ({0: 6}, "size"),
        ({0: Colour.RED}, "size"),
        ({0: 1, 3: 2}, "colour"),
        ({0: 1, 4: 2}, "bits"),
        ({0: 1, 4: -1}, "bits"),
        ({0: 1, 5: [[1]]}, "pairs"),
        ({0: 1, 5: [[1, 1]]}, "pairs"),
        ({0: 1, 5: [(1, True)]}, "pairs"),
        ({0: 1, 5: [[1, True]] * 3}, "pairs"),
        ([], "map"),
        (None, "map"),
    ],
)
def test_a_map_is_read_strictly(raw: object, field: str) -> None:
    with pytest.raises(TermsInvalid) as refused:
        from_map(Sample, raw)
    assert (refused.value.message, refused.value.field) == ("Sample", field)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"size": 6}, "size"),
        ({"size": True}, "size"),
        ({"size": 1, "colour": 4}, "colour"),
        ({"size": 1, "bits": 0}, "bits"),
        ({"size": 1, "pairs": [Pair(1)]}, "pairs"),
        ({"size": 1, "pairs": ((1, True),)}, "pairs"),
        ({"size": 1, "pairs": (Pair(10),)}, "pairs"),
        ({"size": 1, "name": "a\nb"}, "name"),
    ],
)
def test_a_value_is_checked_where_it_is_made(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(TermsInvalid) as refused:
        Sample(**changes)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (Integer(0, 1), 2),
        (Bytes(2), b"abc"),
        (Bytes(2), bytearray(2)),
        (Text(1, 2), ""),
        (Boolean(), 1),
        (Choice(Colour), 1),
        (ListOf(Boolean(), 1, 2), ()),
        (Record(Pair), (1, True)),
    ],
)
def test_each_kind_says_what_is_wrong(kind: Kind, wrong: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        kind.pack(wrong)


@pytest.mark.parametrize("key", [-1, 24])
def test_keys_take_one_byte(key: int) -> None:
    with pytest.raises(ValueError, match="0 to 23"):
        at(key, Boolean())


def test_only_terms_have_maps() -> None:
    with pytest.raises(TypeError):
        to_map(3)
