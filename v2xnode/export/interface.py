"""What an exporter is given, and what it is: a function from trades to lines of text.

Exporters are found as entry points `v2xnode.exporters` (`registry`); `tests/contract/exporter_contract.py` says what
each must keep.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.store.reader import LedgerReader
from v2xnode.config import Config
from v2xnode.meter_key import MeterKey
from v2xnode.settling.trades import Trade


@dataclass(frozen=True, slots=True)
class Numbered:
    """A trade and its number in the ledger, from 1, in the order in which they began."""

    number: int
    trade: Trade


@dataclass(frozen=True, slots=True)
class Source:
    """What there is to export.

    trades: those that are wanted. only: the one request id that was asked for, None for all. meter: the key that signs
    meter values, None where there is none or the chain does not say that it is the node's.
    """

    ledger: LedgerReader
    trades: Sequence[Numbered]
    only: bytes | None
    config: Config
    meter: MeterKey | None


class Exporter(Protocol):
    """Lines without their ends, the same each time for the same source. Trades that the format has no record for are
    left out. Raises ExportRefused, or LedgerError for a ledger that can't be read."""

    def __call__(self, source: Source) -> Iterator[str]: ...
