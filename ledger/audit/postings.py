"""Derives the postings of each entry again, and compares them with those that are stored. For `audit`."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.accounts import Posting, State, check_postings
from ledger.audit.rows import AnyRow, Fault, Found, demand, demand_equal, judge, numbered
from ledger.errors import Gap, LedgerError
from ledger.store import schema
from ledger.store.history import Histories, PostingRule
from ledger.store.reader import LedgerReader
from ledger.store.view import StoredEntry


class PostingAudit:
    """Given the entries in the order of arrival, each checked before. count: the postings that held; posted: what
    they come to, by account and currency, without what is pending.

    What it finds waits for the end: a fault of a later entry comes before one of any posting.
    """

    def __init__(self, reader: LedgerReader, rule: PostingRule) -> None:
        self._reader = reader
        self._histories = Histories(rule)
        self._stored = numbered(reader.connection, schema.posting)
        self._ahead: tuple[int, AnyRow] | None = None
        self._found: Found | None = None
        self.count = 0
        self.posted: dict[tuple[str, str], int] = {}

    def take(self, entry: StoredEntry) -> None:
        """Compare its postings, until something is found."""
        if self._found is None:
            try:
                for line, posting in enumerate(self._derived(entry)):
                    self._compare(entry, line, posting)
                if entry.pruned:
                    self._take_kept(entry)
            except Found as found:
                self._found = found

    def finish(self) -> None:
        """There are no more entries. Raises Found for the first fault, if there was one."""
        if self._found is not None:
            raise self._found
        ahead = self._peek()
        if ahead is not None:
            raise Found(Fault("posting", ahead[0], "", "surplus", "no entry gives rise to it"))

    def _derived(self, entry: StoredEntry) -> Sequence[Posting]:
        try:
            return self._histories.postings(entry, self._reader)
        except (ValueError, LedgerError) as error:
            sentence = f"the posting rule refuses the entry: {error}"
            raise Found(Fault("entry", entry.position, "body", "refused", sentence)) from error

    def _compare(self, entry: StoredEntry, line: int, posting: Posting) -> None:
        expected = self.count + 1
        _, row = self._peek() or (expected, None)
        if row is None:
            sentence = f"missing: entry row {entry.position} posts {posting.amount_micro} to {posting.account}"
            raise Found(Fault("posting", expected, "", Gap.code, sentence))
        judge("posting", expected, _check_posting, row, entry, line, posting)
        self._count(posting)

    def _take_kept(self, entry: StoredEntry) -> None:
        """Those of an entry whose body was dropped stand as they are, if they have the form of postings and balance."""
        kept: list[Posting] = []
        while (ahead := self._peek()) is not None and ahead[1].entry_hash == entry.hash:
            place, row = ahead
            judge("posting", place, _check_line, row, len(kept))
            kept.append(Posting(row.account, row.currency, row.amount_micro, State(row.state)))
            self._count(kept[-1])
        judge("posting", self.count, check_postings, kept)

    def _peek(self) -> tuple[int, AnyRow] | None:
        if self._ahead is None:
            self._ahead = next(self._stored, None)
        return self._ahead

    def _count(self, posting: Posting) -> None:
        """The row at hand holds; on to the next."""
        self._ahead = None
        self.count += 1
        if posting.state is State.POSTED:
            key = posting.account, posting.currency
            self.posted[key] = self.posted.get(key, 0) + posting.amount_micro


def _check_line(row: AnyRow, line: int) -> None:
    demand_equal("line", row.line, line, "the lines before it")
    demand(row.state in State.__members__.values(), "state", "malformed", f"{row.state!r} is no state of a posting")


def _check_posting(row: AnyRow, entry: StoredEntry, line: int, posting: Posting) -> None:
    _, *stored = row
    derived = [entry.hash, line, posting.account, posting.currency, posting.amount_micro, str(posting.state)]
    if stored != derived:
        for column, was, is_ in zip(_COLUMNS, stored, derived, strict=True):
            demand_equal(column, was, is_, f"entry row {entry.position}")


_COLUMNS = ("entry_hash", "line", "account", "currency", "amount_micro", "state")
