"""Which entries may lack salt and body: those of a trade with a peer, before a Net that both have signed. For `audit`.

Their postings can't be derived any more. They stand as they are, and the Net vouches for them: what our own Net says
must be what the postings before it come to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from ledger.audit.rows import Fault, Found
from ledger.entry import EntryType
from ledger.store.view import StoredEntry

Posted: TypeAlias = Mapping[tuple[str, str], int]
"""By account and currency, what was posted so far, in millionths."""

BooksRule: TypeAlias = Callable[[StoredEntry, Posted], bool]
"""Whether a Net of our own says what was posted between us and its peer before it. Pure."""

MISSING: Final = "missing_body"


@dataclass(frozen=True, slots=True)
class _Net:
    """One side of a Net. borne_out: whether our own says what our books did."""

    own: bool
    node: bytes
    position: int
    borne_out: bool


class PrunedAudit:
    """Given the entries in the order of arrival, each checked before, with what was posted before it."""

    def __init__(self, rule: BooksRule | None) -> None:
        self._rule = rule
        self._dropped: list[tuple[int, bytes]] = []  # position, request id
        self._partners: dict[bytes, bytes] = {}  # by request id
        self._nets: dict[bytes, _Net] = {}
        self._closed: dict[bytes, _Net] = {}  # our own side of the newest Net of both, by peer

    def take(self, entry: StoredEntry, posted: Posted) -> None:
        """One more entry."""
        if entry.request_id is not None:
            self._of_trade(entry, entry.request_id)
        elif entry.pruned:
            raise Found(_missing(entry.position))
        elif entry.type is EntryType.NET:
            self._of_net(entry, posted)

    def check_bodies(self) -> None:
        """There are no more entries. Raises Found for the first body that should be there."""
        for position, request_id in self._dropped:
            net = self._closing(request_id)
            if net is None or position >= net.position:
                raise Found(_missing(position))

    def check_books(self) -> None:
        """The postings held. Raises Found for a Net that they deny, where it vouches for some."""
        for _, request_id in self._dropped:
            net = self._closing(request_id)
            if net is not None and not net.borne_out:
                sentence = "bodies before this Net were dropped, and the postings before it come to other sums"
                raise Found(Fault("entry", net.position, "body", "books_differ", sentence))

    def _closing(self, request_id: bytes) -> _Net | None:
        return self._closed.get(self._partners.get(request_id, b""))

    def _of_trade(self, entry: StoredEntry, request_id: bytes) -> None:
        if not entry.own:
            self._partners[request_id] = entry.entry.node
        if entry.pruned:
            self._dropped.append((entry.position, request_id))

    def _of_net(self, entry: StoredEntry, posted: Posted) -> None:
        borne_out = entry.own and self._rule is not None and self._rule(entry, posted)
        net = _Net(entry.own, entry.entry.node, entry.position, borne_out)
        self._nets[entry.hash] = net
        other = self._nets.get(entry.entry.answers)
        if other is not None and other.own is not net.own:
            ours, theirs = (net, other) if net.own else (other, net)
            self._closed[theirs.node] = ours


def _missing(position: int) -> Fault:
    sentence = "salt and body are missing, and no later Net of both parties closes this trade"
    return Fault("entry", position, "body", MISSING, sentence)
