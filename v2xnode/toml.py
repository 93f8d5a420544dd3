"""Writes the tables of a configuration as TOML. Reading is the standard library's; writing it has not."""

import json
from collections.abc import Mapping
from typing import Any

_DELETE = "\x7f"
"""The one character that JSON's strings may hold as it is and TOML's may not."""


def to_toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables of strings, integers, booleans, lists and maps of these. JSON's strings are TOML's basic strings."""
    lines: list[str] = []
    for name, table in tables.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {_value(value)}" for key, value in table.items()]
        lines.append("")
    return "\n".join(lines)


def _value(value: Any) -> str:
    match value:
        case bool() | int() | str():
            return _text(value)
        case list():
            return "[" + ", ".join(_value(each) for each in value) + "]"
        case Mapping():
            return "{ " + ", ".join(f"{_text(key)} = {_value(each)}" for key, each in value.items()) + " }"
    raise TypeError(f"{type(value).__name__} has no place in a configuration")


def _text(value: bool | int | str) -> str:
    return json.dumps(value, ensure_ascii=False).replace(_DELETE, "\\u007f")
