"""Strict reading of the JSON files in `data/`: the promised fields and no others, integers that are integers."""

import json
from collections.abc import Mapping
from typing import Any, Final

from v2xnode.errors import LocalError

MAX_FILE_CHARS: Final = 200_000  # ten times today's largest file: a wrong file is refused before it is parsed


class RealInputError(LocalError):
    """Base of the errors about shipped data."""

    code = "real_input"


class MalformedInput(RealInputError):
    """The file's fault: not the JSON, the fields or the types that are promised."""

    code = "real_input_malformed"


class ImplausibleInput(RealInputError):
    """The file's fault: a value outside what physics or its neighbours allow."""

    code = "real_input_implausible"


def read_document(text: str, schema: str, keys: set[str]) -> Mapping[str, Any]:
    """The object of a file with exactly these fields and this `schema`. Raises `MalformedInput`."""
    if len(text) > MAX_FILE_CHARS:
        raise MalformedInput(f"file above {MAX_FILE_CHARS} characters")
    try:
        document = json.loads(text, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as cause:
        raise MalformedInput(f"not JSON: {cause}") from cause
    checked = exact_fields(document, keys | {"schema"}, "file")
    if checked["schema"] != schema:
        raise MalformedInput(f"schema {checked['schema']!r}, expected {schema!r}")
    return checked


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    refuse_twins([key for key, _ in pairs], "key")
    return dict(pairs)


def refuse_twins(names: list[str], what: str) -> None:
    """Raises `MalformedInput` when a name appears twice."""
    if len(set(names)) != len(names):
        raise MalformedInput(f"a {what} appears twice among {sorted(names)}")


def exact_fields(value: Any, keys: set[str], what: str) -> Mapping[str, Any]:
    """The object, which has these fields and no others."""
    mapping = mapping_of(value, what)
    if mapping.keys() != keys:
        raise MalformedInput(f"{what}: fields missing or unknown: {sorted(mapping.keys() ^ keys)}")
    return mapping


def mapping_of(value: Any, what: str) -> Mapping[str, Any]:
    """A JSON object that is not empty."""
    if not isinstance(value, dict) or not value:
        raise MalformedInput(f"{what}: expected an object with fields")
    return value


def list_of(value: Any, what: str) -> list[Any]:
    """A JSON list that is not empty."""
    if not isinstance(value, list) or not value:
        raise MalformedInput(f"{what}: expected a list with entries")
    return value


def text_of(value: Any, what: str) -> str:
    """Text that is not blank."""
    if not isinstance(value, str) or not value.strip():
        raise MalformedInput(f"{what}: expected text")
    return value


def member_of(value: Any, allowed: frozenset[str], what: str) -> str:
    """One of the allowed words."""
    text = text_of(value, what)
    if text not in allowed:
        raise MalformedInput(f"{what}: {text!r} is not one of {sorted(allowed)}")
    return text


def integer_of(value: Any, what: str, least: int, most: int) -> int:
    """A true integer within `least..most`; else `MalformedInput` or `ImplausibleInput`."""
    if type(value) is not int:  # a bool is an int to isinstance, and no measure
        raise MalformedInput(f"{what}: expected an integer, got {value!r}")
    if not least <= value <= most:
        raise ImplausibleInput(f"{what}: {value} is outside {least}..{most}")
    return value


def pair_of(value: Any, what: str, most: int) -> tuple[int, int]:
    """Two integers within `0..most`."""
    items = list_of(value, what)
    if len(items) != 2:
        raise MalformedInput(f"{what}: expected pairs")
    return integer_of(items[0], what, 0, most), integer_of(items[1], what, 0, most)
