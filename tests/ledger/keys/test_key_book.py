"""A history is read once, and again only after something was rolled back."""

from __future__ import annotations

import pytest

from ledger.entry import SignedEntry
from ledger.errors import Corrupt
from ledger.keys.key_book import KeyBook
from tests.ledger.key_world import NODE, OTHER, SECOND, KeyChain


class Held:
    """KEY entries in a database, and how often they were read."""

    def __init__(self, entries: list[SignedEntry]) -> None:
        self.entries = entries
        self.reads = 0

    def read(self) -> list[SignedEntry]:
        self.reads += 1
        return self.entries


def test_it_is_read_once_and_carried_on() -> None:
    book, chain = KeyBook(), KeyChain()
    held = Held(list(chain.keys))
    first = book.of(NODE, held.read)
    assert book.of(NODE, held.read) is first
    book.learn(first.with_entry(chain.rotate(SECOND)))
    assert book.of(NODE, held.read).current == SECOND.public
    assert held.reads == 1


def test_what_was_rolled_back_is_read_again() -> None:
    book, chain = KeyBook(), KeyChain()
    held = Held(list(chain.keys))
    book.learn(book.of(NODE, held.read).with_entry(chain.rotate(SECOND)))
    book.forget()
    assert book.of(NODE, held.read).current == NODE
    assert held.reads == 2


def test_entries_that_do_not_fold_were_not_written_by_us() -> None:
    with pytest.raises(Corrupt):
        KeyBook().of(OTHER.public, Held(KeyChain().keys).read)
