"""A revocation as a file for peers: the KEY entries of a node, of which one takes its keys' power away.

`{"form": "v2x-revocation/1", "keys": [KEY entries as in `filing`, in the order in which their node has them]}`. It
needs nothing beside it: the first entry names the offline key by its hash, and that key signed the one that revokes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ledger.entry import SignedEntry
from ledger.errors import Malformed
from ledger.filing import demand_fields, entry_from_json, entry_to_json, list_of, write_file
from ledger.keys.key_history import MAX_KEYS, KeyHistory, fold_keys

FORM: Final = "v2x-revocation/1"


def to_file(keys: Sequence[SignedEntry]) -> bytes:
    """Of a node whose KEY entries these are."""
    return write_file(FORM, {"keys": [entry_to_json(each) for each in keys]})


def from_fields(fields: dict[str, Any]) -> tuple[Sequence[SignedEntry], KeyHistory]:
    """The KEY entries of a file, each checked, and what follows from them.

    Raises Malformed (also where nothing is revoked), NotCanonical, TooLarge, or what `fold_keys` raises.
    """
    keys = [entry_from_json(each) for each in list_of(demand_fields(fields, ("keys",))["keys"], MAX_KEYS)]
    if not keys:
        raise Malformed("a revocation shows a node's KEY entries")
    history = fold_keys(keys[0].entry.node, keys)
    if not history.revoked:
        raise Malformed("none of these KEY entries revokes a key")
    return keys, history
