"""Flat frozen dataclasses to JSON's plain values and strictly back: for the plant's socket and its world file.

Strict: unknown and missing keys, booleans for integers and values out of range are refused with the place named.
"""

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum, IntEnum
from functools import lru_cache
from typing import Any, TypeVar, cast

from v2xnode.devices.errors import DeviceDataInvalid

T = TypeVar("T")

MAX_KINDS = 128
"""Dataclasses whose type hints are remembered: a few times as many as the devices have."""


def to_plain(value: object) -> Any:
    """Dataclasses become maps, tuples lists, enumerations their values, or their names in lower case where the values
    are numbers; the rest stays."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    return value


def from_plain(kind: type[T], plain: object, where: str = "") -> T:
    """The `kind` that `plain` describes. Raises DeviceDataInvalid, naming the place below `where`."""
    return cast(T, _convert(kind, plain, where or kind.__name__))


def _convert(kind: Any, plain: object, where: str) -> object:
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        return _optional(kind, plain, where)
    if origin is tuple:
        return _row(kind, plain, where)
    if origin is not None:
        return _table(kind, plain, where)
    if is_dataclass(kind):
        return _record(cast(type, kind), plain, where)
    if issubclass(kind, IntEnum):
        return _named(kind, plain, where)
    if issubclass(kind, Enum):
        return _built(kind, where, plain)
    if type(plain) is not kind:
        raise DeviceDataInvalid(f"{where}: expected {kind.__name__}, not {plain!r:.60}")
    return plain


def _optional(kind: Any, plain: object, where: str) -> object:
    (inner,) = (arm for arm in typing.get_args(kind) if arm is not type(None))
    return None if plain is None else _convert(inner, plain, where)


def _row(kind: Any, plain: object, where: str) -> tuple[object, ...]:
    if not isinstance(plain, list | tuple):
        raise DeviceDataInvalid(f"{where}: expected a list, not {plain!r:.60}")
    item = typing.get_args(kind)[0]
    return tuple(_convert(item, value, f"{where}[{index}]") for index, value in enumerate(plain))


def _table(kind: Any, plain: object, where: str) -> dict[str, object]:
    if not isinstance(plain, Mapping):
        raise DeviceDataInvalid(f"{where}: expected a map, not {plain!r:.60}")
    item = typing.get_args(kind)[1]
    return {str(key): _convert(item, value, f"{where}.{key}") for key, value in plain.items()}


def _record(kind: type, plain: object, where: str) -> object:
    if not isinstance(plain, Mapping):
        raise DeviceDataInvalid(f"{where}: expected a map, not {plain!r:.60}")
    shape = _shape(kind)
    unknown = sorted(str(key) for key in plain if key not in shape)
    missing = sorted(name for name, (_, needed) in shape.items() if needed and name not in plain)
    if unknown or missing:
        raise DeviceDataInvalid(f"{where}: unknown {unknown}, missing {missing}")
    values = {key: _convert(shape[key][0], value, f"{where}.{key}") for key, value in plain.items()}
    return _built(kind, where, **values)


def _named(kind: type[IntEnum], plain: object, where: str) -> IntEnum:
    """The member whose name this is, in lower case: numbers of our own are nobody's to write down."""
    names = {member.name.lower(): member for member in kind}
    if not isinstance(plain, str) or plain not in names:
        raise DeviceDataInvalid(f"{where}: expected one of {', '.join(names)}, not {plain!r:.60}")
    return names[plain]


def _built(kind: Callable[..., object], where: str, *args: object, **values: object) -> object:
    try:
        return kind(*args, **values)
    except ValueError as error:
        raise DeviceDataInvalid(f"{where}: {error}") from error


@lru_cache(maxsize=MAX_KINDS)
def _shape(kind: type) -> dict[str, tuple[Any, bool]]:
    """Each field's type, and whether it has to be given."""
    hints = typing.get_type_hints(kind)
    return {field.name: (hints[field.name], _needed(field)) for field in fields(kind)}


def _needed(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING
