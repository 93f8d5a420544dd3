"""Strangers who ask, and the owner's yes: by a name that is nobody else's, kept over a restart, within bounds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.signing import Signer
from ledger.store.ledger import Ledger
from ledger.store.writer import Writer
from v2xnode.clock import real_clock
from v2xnode.errors import UsageError
from v2xnode.settling.money import posting_rule
from v2xnode.trading.books import Books
from v2xnode.trading.welcome import MAX_ASKED, Welcome

ANNA, BERT = b"\xaa" * 32, b"\xaa" * 16 + b"\xbb" * 16


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    signer = Signer(b"\x01" * 32)
    with Writer(lambda: Ledger.open(tmp_path / "node.db", signer, posting_rule=posting_rule)) as writer:
        yield Books(writer, real_clock())


async def test_a_stranger_who_asked_is_let_in_by_the_beginning_of_its_id_and_stays_so(books: Books) -> None:
    welcome = Welcome(books)
    welcome.asked(ANNA)
    assert await welcome.allow("aaaaaa") == ANNA
    again = Welcome(books)
    await again.load()
    assert again.keys == {ANNA}


async def test_anybody_is_let_in_by_the_whole_id(books: Books) -> None:
    welcome = Welcome(books)
    assert await welcome.allow(BERT.hex()) == BERT
    assert welcome.keys == {BERT}


@pytest.mark.parametrize("name", ["", "aaaaa", "aaaaaa", "cccccc", "zz" * 32])
async def test_a_name_that_is_nobodys_or_more_than_ones_changes_nothing(books: Books, name: str) -> None:
    welcome = Welcome(books)
    welcome.asked(ANNA)
    welcome.asked(BERT)
    with pytest.raises(UsageError):
        await welcome.allow(name)
    assert welcome.keys == frozenset()
    assert await books.get("welcome") is None


async def test_only_the_newest_who_asked_are_remembered(books: Books) -> None:
    welcome = Welcome(books)
    welcome.asked(ANNA)
    for number in range(MAX_ASKED):
        welcome.asked(bytes([number]) * 32)
    with pytest.raises(UsageError):
        await welcome.allow(ANNA.hex()[:12])
