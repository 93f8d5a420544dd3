"""The acceptor's open links, bounded, so that strangers can't push out those that have proven themselves."""

from collections import OrderedDict
from dataclasses import dataclass

from transports.records import Session


@dataclass(slots=True)
class _Held:
    session: Session
    used_ms: int


class LinkTable:
    """Sessions by our link id. Fresh ones (no record opened yet: maybe a replay) and established ones are bounded
    apart; in each the one idle for longest gives way. A fresh one also ends after `fresh_ms` without a record.
    """

    def __init__(self, *, fresh: int, fresh_ms: int, established: int) -> None:
        self._fresh_bound = fresh
        self._fresh_ms = fresh_ms
        self._established_bound = established
        self._fresh: OrderedDict[int, _Held] = OrderedDict()
        self._established: OrderedDict[int, _Held] = OrderedDict()

    def __contains__(self, link_id: object) -> bool:
        return link_id in self._fresh or link_id in self._established

    def __len__(self) -> int:
        return len(self._fresh) + len(self._established)

    def add(self, session: Session, now_ms: int) -> None:
        """Hold a fresh session."""
        self._fresh[session.local_id] = _Held(session, now_ms)
        _bound(self._fresh, self._fresh_bound)

    def get(self, link_id: int) -> Session | None:
        """The session of an incoming record, if we hold it."""
        held = self._established.get(link_id) or self._fresh.get(link_id)
        return None if held is None else held.session

    def used(self, session: Session, now_ms: int) -> None:
        """Note that a record of `session`, which we hold, was opened: it is established, and last in turn to go."""
        self._fresh.pop(session.local_id, None)
        self._established[session.local_id] = _Held(session, now_ms)
        self._established.move_to_end(session.local_id)
        _bound(self._established, self._established_bound)

    def holds(self, session: Session) -> bool:
        """Whether records of this very session are still opened."""
        return self.get(session.local_id) is session

    def remove(self, session: Session) -> None:
        """Hold it no longer; nothing when we don't."""
        if self.holds(session):
            self._fresh.pop(session.local_id, None)
            self._established.pop(session.local_id, None)

    def expire(self, now_ms: int) -> None:
        """Drop the fresh ones whose time is over."""
        while self._fresh:
            link_id, held = next(iter(self._fresh.items()))
            if now_ms - held.used_ms < self._fresh_ms:
                return
            del self._fresh[link_id]


def _bound(table: OrderedDict[int, _Held], most: int) -> None:
    while len(table) > most:
        table.popitem(last=False)
