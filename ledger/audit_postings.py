"""Derives the postings of each entry again, and compares them with those that are stored. For `audit`."""

from __future__ import annotations

from collections.abc import Sequence

from ledger import schema
from ledger.accounts import Posting
from ledger.errors import Gap, LedgerError
from ledger.history import Histories, PostingRule
from ledger.reader import LedgerReader
from ledger.rows import AnyRow, Fault, Found, demand_equal, judge, numbered
from ledger.view import StoredEntry


class PostingAudit:
    """Given the entries in the order of arrival, each checked before. count: the postings that held.

    What it finds waits for the end: a fault of a later entry comes before one of any posting.
    """

    def __init__(self, reader: LedgerReader, rule: PostingRule) -> None:
        self._reader = reader
        self._histories = Histories(rule)
        self._stored = numbered(reader.connection, schema.posting)
        self._found: Found | None = None
        self.count = 0

    def take(self, entry: StoredEntry) -> None:
        """Compare its postings, until something is found."""
        if self._found is None:
            try:
                for line, posting in enumerate(self._derived(entry)):
                    self._compare(entry, line, posting)
            except Found as found:
                self._found = found

    def finish(self) -> None:
        """There are no more entries. Raises Found for the first fault, if there was one."""
        if self._found is not None:
            raise self._found
        for position, _ in self._stored:
            raise Found(Fault("posting", position, "", "surplus", "no entry gives rise to it"))

    def _derived(self, entry: StoredEntry) -> Sequence[Posting]:
        try:
            return self._histories.postings(entry, self._reader)
        except (ValueError, LedgerError) as error:
            sentence = f"the posting rule refuses the entry: {error}"
            raise Found(Fault("entry", entry.position, "body", "refused", sentence)) from error

    def _compare(self, entry: StoredEntry, line: int, posting: Posting) -> None:
        expected = self.count + 1
        _, row = next(self._stored, (expected, None))
        if row is None:
            sentence = f"missing: entry row {entry.position} posts {posting.amount_micro} to {posting.account}"
            raise Found(Fault("posting", expected, "", Gap.code, sentence))
        judge("posting", expected, _check_posting, row, entry, line, posting)
        self.count = expected


def _check_posting(row: AnyRow, entry: StoredEntry, line: int, posting: Posting) -> None:
    _, *stored = row
    derived = [entry.hash, line, posting.account, posting.currency, posting.amount_micro, str(posting.state)]
    if stored != derived:
        for column, was, is_ in zip(_COLUMNS, stored, derived, strict=True):
            demand_equal(column, was, is_, f"entry row {entry.position}")


_COLUMNS = ("entry_hash", "line", "account", "currency", "amount_micro", "state")
