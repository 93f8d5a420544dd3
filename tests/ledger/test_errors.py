"""Codes are part of what programs rely on."""

from __future__ import annotations

import ledger.errors as errors
from ledger.errors import LedgerError, LocalLedgerError, RemoteLedgerError


def kinds() -> list[type[LedgerError]]:
    values = vars(errors).values()
    return [value for value in values if isinstance(value, type) and issubclass(value, LedgerError)]


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in kinds()]
    assert len(set(codes)) == len(codes) > 15


def test_every_error_says_whose_fault_it_is() -> None:
    sides = (LocalLedgerError, RemoteLedgerError)
    for kind in kinds():
        assert kind is LedgerError or sum(issubclass(kind, side) for side in sides) == 1
