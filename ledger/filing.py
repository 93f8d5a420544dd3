"""Files that carry proofs to strangers: JSON objects with a `form`, read strictly. Bytes are base64.

A reader meets whatever a stranger made: sizes are bounded before anything is parsed, no name stands twice, and an
object has the fields that its form says, and no others.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from ledger.entry import Entry, SignedEntry
from ledger.errors import Malformed, TooLarge
from ledger.proofs.note import from_base64, to_base64
from ledger.signing import SIGNATURE_BYTES

MAX_FILE_BYTES: Final = 16 * 1024 * 1024
"""A receipt of the longest trade (10,000 entries of 700 bytes, proofs included), and room."""

FORM: Final = "form"

_INDENT: Final = 1


def write_file(form: str, fields: Mapping[str, Any]) -> bytes:
    """One file of that form: UTF-8, the form first, a newline at the end."""
    return (json.dumps({FORM: form, **fields}, indent=_INDENT, ensure_ascii=False) + "\n").encode()


def read_file(data: bytes) -> tuple[str, dict[str, Any]]:
    """(form, the other fields) of a file. Raises TooLarge or Malformed."""
    if len(data) > MAX_FILE_BYTES:
        raise TooLarge(f"a file has {MAX_FILE_BYTES} bytes at most")
    try:
        value = json.loads(data.decode(), object_pairs_hook=_object, parse_constant=_refuse, parse_float=_refuse)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError, ValueError) as error:
        raise Malformed(f"not a file of a known form: {error}") from error
    form = value.pop(FORM, None) if isinstance(value, dict) else None
    if not isinstance(form, str):
        raise Malformed("not a file of a known form: it does not name one")
    return form, value


def demand_fields(value: object, names: Collection[str]) -> dict[str, Any]:
    """The object with exactly these fields, in this order whatever the file's. Raises Malformed."""
    if not isinstance(value, dict) or value.keys() != set(names):
        raise Malformed(f"the fields {', '.join(names)} are expected here, and no others")
    return {name: value[name] for name in names}


def octets_of(value: object) -> bytes:
    """Of a base64 text. Raises Malformed or NotCanonical."""
    if not isinstance(value, str):
        raise Malformed("bytes are base64 text")
    return from_base64(value)


def list_of(value: object, limit: int) -> list[Any]:
    """A list of at most `limit`. Raises Malformed or TooLarge."""
    if not isinstance(value, list):
        raise Malformed("a list is expected here")
    if len(value) > limit:
        raise TooLarge(f"a list of {limit} at most is expected here")
    return value


def entry_to_json(signed: SignedEntry) -> dict[str, str]:
    """An entry that belongs to no trade, whole."""
    return {
        "payload": to_base64(signed.entry.payload),
        "signature": to_base64(signed.signature),
        "salt": to_base64(signed.salt),
        "body": to_base64(signed.body),
    }


def entry_from_json(value: object, *, request_id: bytes | None = None) -> SignedEntry:
    """What `entry_to_json` wrote; `request_id` goes with an entry of a trade. Its signature is not checked here.

    Raises Malformed, NotCanonical or TooLarge.
    """
    fields = demand_fields(value, ("payload", "signature", "salt", "body"))
    payload, signature, salt, body = (octets_of(each) for each in fields.values())
    if len(signature) != SIGNATURE_BYTES:
        raise Malformed(f"a signature has {SIGNATURE_BYTES} bytes")
    return SignedEntry(Entry.parse(payload), signature, salt, body, request_id)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is no number that is written here")
