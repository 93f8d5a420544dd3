"""The tables of docs/protocol.md against the code: neither changes without the other."""

import re
from dataclasses import MISSING, fields
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest

from market import errors, units
from market.terms import ENTRIES, MESSAGES, SIGNED, Means, MessageType, rebuilt_fields
from market.terms import control as control_terms
from market.terms.agreement import FeeKind, PriceKind, SilenceRule
from market.terms.electrical import Connector, Earthing, Profile
from market.terms.mapping import Boolean, Bytes, Choice, Integer, ListOf, Octets, Record, Text, Thousands

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text()
ROWS = {
    int(match[1]): match[2]
    for match in re.finditer(r"^\| (\d+) \w+ \|[^|]*\|[^|]*\| (.*) \|$", PAGE, flags=re.MULTILINE)
}


def number(value: int) -> str:
    """As the page writes it."""
    for power in (32, 42, 48, 62):
        if value in (2**power, 2**power - 1):
            return f"2^{power}" + ("-1" if value == 2**power - 1 else "")
    return f"{value:,}"


def form(kind: Any) -> str:
    match kind:
        case Integer(low, high) | Thousands(low, high):
            return f"int {number(low)}..{number(high)}"
        case Bytes(size):
            return f"bytes {size}"
        case Octets(low, high):
            return f"bytes {low}..{high:,}"
        case Text(_, high):
            return f"text {high}"
        case Boolean():
            return "bool"
        case Choice(enum):
            return enum.__name__
        case ListOf(item, low, high):
            return f"[{form(item)}] {low}..{high}"
        case Record(cls):
            return str(cls.__name__)
        case _:
            return ""


def described(kind: MessageType) -> list[str]:
    """What the page has to say of each field of a message."""
    told = []
    for each in fields(MESSAGES[kind]):
        star = "\\*" if each.name in rebuilt_fields(kind) else ""
        told.append(f"{each.metadata['key']} `{each.name}`{star} {form(each.metadata['kind'])}".rstrip())
    return told


@pytest.mark.parametrize("kind", list(MESSAGES), ids=lambda kind: kind.name)
def test_each_field_of_each_message_is_described(kind: MessageType) -> None:
    row = ROWS[int(kind)]
    for field_told in described(kind):
        assert field_told in row, field_told
    assert row.count("`") == 2 * len(fields(MESSAGES[kind]))


@pytest.mark.parametrize("kind", list(MESSAGES), ids=lambda kind: kind.name)
def test_each_default_is_told(kind: MessageType) -> None:
    row = ROWS[int(kind)]
    parts = dict(re.findall(r"`(\w+)`\S* ([^;]*)", row))
    for each in fields(MESSAGES[kind]):
        assert (" = " in parts[each.name]) is (each.default is not MISSING), each.name


def test_forms_are_told() -> None:
    for kind, name in re.findall(r"^\| (\d+) \w+ \| [^|]* \| (sealed|signed|entry) \|", PAGE, flags=re.MULTILINE):
        message = MessageType(int(kind))
        assert name == ("entry" if message in ENTRIES else "signed" if message in SIGNED else "sealed")


NUMBERS: tuple[type[IntEnum], ...] = (
    units.Service,
    units.Role,
    Profile,
    Connector,
    Earthing,
    PriceKind,
    FeeKind,
    SilenceRule,
    control_terms.PlugStep,
    control_terms.PowerState,
    Means,
    errors.Quantity,
)


@pytest.mark.parametrize("enum", NUMBERS, ids=lambda enum: enum.__name__)
def test_each_number_is_told(enum: type[IntEnum]) -> None:
    told = ", ".join(f"{int(each)} {each.name}" for each in enum)
    assert f"| {enum.__name__} | {told} |" in PAGE


def test_reasons_are_told() -> None:
    told = ", ".join(f"{int(each)} {each.name}" for each in errors.Reason)
    assert f"| Reason | {told} |" in PAGE
