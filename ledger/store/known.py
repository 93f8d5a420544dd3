"""What the one connection that writes knows without asking the database: nobody else changes what it has written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ledger.keys.key_book import KeyBook
from ledger.recent import Recent
from ledger.store.history import Histories
from ledger.store.statements import Prepared
from ledger.store.view import StoredEntry

MAX_HASHES: Final = 4_096
"""Entries and messages that may be answered soon: of a trade its newest, of a coordinator's hundreds of trades all."""

MAX_CHAINS: Final = 1_024
"""Peers whose newest entry is at hand: more than trade at a time."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The highest entry held of an epoch of a peer's chain; seq -1 where there is none."""

    seq: int
    hash: bytes


@dataclass(slots=True)
class Known:
    """All of it is in the database too; None or missing means: ask there.

    histories: what trades have come to. keys: which key signs where. head: of our own chain. tails: a table's newest
    position and running hash, by the question for them. newest: by node and epoch. trades: by hash, the trade of an
    entry or message, None for none.
    """

    histories: Histories
    keys: KeyBook = field(default_factory=KeyBook)
    head: StoredEntry | None = None
    tails: dict[Prepared, tuple[int, bytes]] = field(default_factory=dict)
    newest: Recent[tuple[bytes, bytes], Newest] = field(default_factory=lambda: Recent(MAX_CHAINS))
    trades: Recent[bytes, tuple[bytes | None]] = field(default_factory=lambda: Recent(MAX_HASHES))

    def forget(self) -> None:
        """Something was rolled back, and may have been known."""
        self.histories.forget()
        self.keys.forget()
        self.head = None
        self.tails.clear()
        self.newest.clear()
        self.trades.clear()
