"""The key histories of the nodes whose entries come now: read once, and carried on from there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from ledger.entry import SignedEntry
from ledger.errors import Corrupt, RemoteLedgerError
from ledger.keys.key_history import KeyHistory
from ledger.recent import Recent

MAX_NODES: Final = 1_024
"""Kept in memory: more than trade at a time. Others are read again."""


class KeyBook:
    """Of one database. `read` gives a node's KEY entries as they are held, in the order of arrival."""

    def __init__(self) -> None:
        self._histories: Recent[bytes, KeyHistory] = Recent(MAX_NODES)

    def of(self, node: bytes, read: Callable[[], Iterable[SignedEntry]]) -> KeyHistory:
        """The history of `node`. Raises Corrupt when what is held of it does not fold."""
        history = self._histories.get(node)
        if history is None:
            history = _folded(node, read())
            self.learn(history)
        return history

    def learn(self, history: KeyHistory) -> None:
        """A KEY entry more is held of its node."""
        self._histories.put(history.node, history)

    def forget(self) -> None:
        """What was learnt may not be in the database: something was rolled back."""
        self._histories.clear()


def _folded(node: bytes, entries: Iterable[SignedEntry]) -> KeyHistory:
    """Signatures were checked when the entries came, and `audit.verify` checks them again."""
    history = KeyHistory(node)
    try:
        for signed in entries:
            history = history.with_entry(signed)
    except RemoteLedgerError as error:
        raise Corrupt(f"the KEY entries of {node.hex()[:16]}… do not hold ({error}); run verify") from error
    return history
