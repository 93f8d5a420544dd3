"""How a value becomes an integer-keyed map and back, by one description of each field.

`market` never sees bytes: `to_map` gives plain maps of integers, byte strings, text, lists and booleans for the
ledger's codec, and `from_map` checks every bound on the way back. A field that equals its default is left out, and a
map that spells a default out is refused, so that one value has exactly one map.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from enum import IntEnum, IntFlag
from typing import Any, NamedTuple, Protocol, TypeVar

from market.errors import TermsInvalid

T = TypeVar("T")


class Kind(Protocol):
    """Checks and converts one field's value; raises ValueError with what is wrong."""

    def pack(self, value: Any) -> Any: ...

    def unpack(self, raw: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer from `low` to `high`, both included."""

    low: int
    high: int

    def pack(self, value: Any) -> int:
        if type(value) is not int and not isinstance(value, IntEnum | IntFlag):
            raise ValueError("must be an integer")
        if not self.low <= value <= self.high:
            raise ValueError(f"must be {self.low} to {self.high}, is {int(value)}")
        return int(value)

    def unpack(self, raw: Any) -> int:
        if type(raw) is not int:
            raise ValueError("must be an integer")
        return self.pack(raw)


@dataclass(frozen=True, slots=True)
class Thousands:
    """An integer from `low` to `high` thousand, whole thousands only: in the map it is their number."""

    low: int
    high: int

    def pack(self, value: Any) -> int:
        if type(value) is not int or value % 1_000:
            raise ValueError("must be an integer of whole thousands")
        return Integer(self.low, self.high).pack(value // 1_000)

    def unpack(self, raw: Any) -> int:
        return Integer(self.low, self.high).unpack(raw) * 1_000


@dataclass(frozen=True, slots=True)
class Bytes:
    """Exactly `size` bytes."""

    size: int

    def pack(self, value: Any) -> bytes:
        if type(value) is not bytes or len(value) != self.size:
            raise ValueError(f"must be {self.size} bytes")
        return value

    unpack = pack


@dataclass(frozen=True, slots=True)
class Octets:
    """`low` to `high` bytes."""

    low: int
    high: int

    def pack(self, value: Any) -> bytes:
        if type(value) is not bytes or not self.low <= len(value) <= self.high:
            raise ValueError(f"must be {self.low} to {self.high} bytes")
        return value

    unpack = pack


@dataclass(frozen=True, slots=True)
class Text:
    """Text of `low` to `high` characters."""

    low: int
    high: int

    def pack(self, value: Any) -> str:
        if type(value) is not str or not self.low <= len(value) <= self.high or not value.isprintable():
            raise ValueError(f"must be {self.low} to {self.high} printable characters")
        return value

    unpack = pack


@dataclass(frozen=True, slots=True)
class Boolean:
    """True or false."""

    def pack(self, value: Any) -> bool:
        if type(value) is not bool:
            raise ValueError("must be true or false")
        return value

    unpack = pack


@dataclass(frozen=True, slots=True)
class Choice:
    """A member of an integer enumeration or flag set."""

    enum: type[IntEnum] | type[IntFlag]

    def pack(self, value: Any) -> int:
        if not isinstance(value, self.enum):
            raise ValueError(f"must be a {self.enum.__name__}")
        return int(value)

    def unpack(self, raw: Any) -> Any:
        if type(raw) is not int:
            raise ValueError("must be an integer")
        if (issubclass(self.enum, IntFlag) and raw & ~sum(self.enum)) or raw < 0:
            raise ValueError(f"{raw} is not a known {self.enum.__name__}")
        try:
            return self.enum(raw)
        except ValueError:
            raise ValueError(f"{raw} is not a known {self.enum.__name__}") from None


@dataclass(frozen=True, slots=True)
class ListOf:
    """`low` to `high` items of one kind, a tuple here and a list in the map."""

    item: Kind
    low: int
    high: int

    def pack(self, value: Any) -> list[Any]:
        if type(value) is not tuple or not self.low <= len(value) <= self.high:
            raise ValueError(f"must be {self.low} to {self.high} items")
        return [self.item.pack(each) for each in value]

    def unpack(self, raw: Any) -> tuple[Any, ...]:
        if not isinstance(raw, list) or not self.low <= len(raw) <= self.high:
            raise ValueError(f"must be a list of {self.low} to {self.high} items")
        return tuple(self.item.unpack(each) for each in raw)


@dataclass(frozen=True, slots=True)
class Record:
    """A nested value, in the map as a list of its fields in the order of their declaration (all present)."""

    cls: type[Any]

    def pack(self, value: Any) -> list[Any]:
        if type(value) is not self.cls:
            raise ValueError(f"must be a {self.cls.__name__}")
        return [slot.kind.pack(getattr(value, slot.name)) for slot in slots(self.cls).values()]

    def unpack(self, raw: Any) -> Any:
        described = slots(self.cls)
        if not isinstance(raw, list) or len(raw) != len(described):
            raise ValueError(f"must be a list of {len(described)} items")
        return self.cls(*(slot.kind.unpack(item) for slot, item in zip(described.values(), raw, strict=True)))


def at(key: int, kind: Kind, default: Any = MISSING) -> Any:
    """A dataclass field that lives under `key` (0 to 23) of the map; with a default it may be left out."""
    if not 0 <= key <= 23:
        raise ValueError("keys are 0 to 23: one byte each")
    if default is MISSING:
        return field(metadata={"key": key, "kind": kind})
    return field(default=default, metadata={"key": key, "kind": kind})


class Slot(NamedTuple):
    """One field of a class as its maps have it. default: MISSING where there is none."""

    name: str
    key: int
    kind: Kind
    default: Any


_SLOTS: dict[type[Any], Mapping[int, Slot]] = {}
"""Of each class that was used, which are as many as there are kinds of messages."""


def slots(cls: type[Any]) -> Mapping[int, Slot]:
    """The fields of a class that uses `at`, by key, in the order of their declaration."""
    known = _SLOTS.get(cls)
    if known is None:
        if not is_dataclass(cls):
            raise TypeError("only terms have maps")
        described = (Slot(each.name, each.metadata["key"], each.metadata["kind"], each.default) for each in fields(cls))
        known = _SLOTS[cls] = {slot.key: slot for slot in described}
    return known


def check(value: Any) -> None:
    """Refuse a value whose fields break their bounds; for `__post_init__`. Raises TermsInvalid."""
    for name, _, kind, default in slots(type(value)).values():
        held = getattr(value, name)
        if type(held) is type(default) and held == default:
            continue
        try:
            kind.pack(held)
        except ValueError as wrong:
            raise TermsInvalid(type(value).__name__, name, str(wrong)) from None


def to_map(value: Any) -> dict[int, Any]:
    """The integer-keyed map of a value whose class uses `at`."""
    packed: dict[int, Any] = {}
    for name, key, kind, default in slots(type(value)).values():
        held = getattr(value, name)
        if default is MISSING or held != default:
            packed[key] = kind.pack(held)
    return packed


def from_map(cls: type[T], raw: object) -> T:
    """Read a map strictly: no unknown key, none missing, no spelled-out default, bounds kept. Raises TermsInvalid."""
    name = cls.__name__
    if not isinstance(raw, Mapping):
        raise TermsInvalid(name, "map", "must be a map")
    described = slots(cls)
    for key in raw:
        if type(key) is not int or key not in described:  # True is 1 to a dictionary
            raise TermsInvalid(name, str(key), "is not a field of this message")
    values: dict[str, Any] = {}
    for key, slot in described.items():
        if key in raw:
            values[slot.name] = _read(name, slot, raw[key])
        elif slot.default is MISSING:
            raise TermsInvalid(name, slot.name, "is missing")
    return cls(**values)


def _read(name: str, slot: Slot, raw: Any) -> Any:
    try:
        value = slot.kind.unpack(raw)
    except ValueError as wrong:
        raise TermsInvalid(name, slot.name, str(wrong)) from None
    if slot.default is not MISSING and value == slot.default:
        raise TermsInvalid(name, slot.name, "spells out its default")
    return value
