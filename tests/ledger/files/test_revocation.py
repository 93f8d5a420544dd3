"""A revocation convinces by itself, and nothing weaker passes for one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ledger.errors import BrokenChain, LedgerError, Malformed
from ledger.files.revocation import FORM, from_fields, to_file
from ledger.filing import read_file
from tests.ledger.key_world import NODE, SECOND, KeyChain


def revoked() -> KeyChain:
    chain = KeyChain()
    chain.grow(2)
    chain.succeed(SECOND, 2)
    return chain


def fields(chain: KeyChain) -> dict[str, Any]:
    form, read = read_file(to_file(chain.keys))
    assert form == FORM
    return read


def test_it_comes_back_and_says_what_is_revoked() -> None:
    chain = revoked()
    entries, keys = from_fields(fields(chain))
    assert list(entries) == chain.keys
    assert (keys.node, set(keys.revoked), keys.current) == (NODE, {NODE}, SECOND.public)


def test_key_entries_that_revoke_nothing_are_none() -> None:
    chain = KeyChain()
    chain.rotate(SECOND)
    wrongs: list[dict[str, Any]] = [fields(chain), {"keys": []}, {}, {"keys": [1]}]
    for wrong in wrongs:
        with pytest.raises(Malformed):
            from_fields(wrong)


def test_one_without_its_genesis_or_by_another_paper_is_none() -> None:
    chain = revoked()
    with pytest.raises(LedgerError):
        from_fields({"keys": fields(chain)["keys"][1:]})
    other = KeyChain(commitment=b"")
    other.commitment = b""
    other.succeed(SECOND, 2)
    with pytest.raises(BrokenChain):
        from_fields(fields(other))


@pytest.mark.parametrize("name", ["payload", "signature", "body"])
def test_no_part_of_it_can_be_exchanged(name: str) -> None:
    whole = fields(revoked())
    mixed = json.loads(json.dumps(whole))
    mixed["keys"][1][name] = mixed["keys"][0][name]
    with pytest.raises(LedgerError):
        from_fields(mixed)
