"""Twin of v2xnode/settling/accounting.py: a peer's entries without end cost us neither signatures nor a disk."""

import pytest

from ledger.entry import EntryType, SignedEntry
from ledger.errors import TooLarge
from market.terms import Means, Net, NetLine, Pay
from tests.support.ledgers import NOW_S, PRICE, Book, Street, forged, street
from v2xnode.settling import accounting, paying
from v2xnode.settling import nets as settling_nets
from v2xnode.settling.accounting import MAX_UNANSWERED, MAX_UNHEARD

OWED = 400 * PRICE // 1000


def sold() -> tuple[Street, Book, Book]:
    world = street()
    provider, client = world.books
    world.sells(provider, client, 400)
    return world, provider, client


def takes(book: Book, signed: SignedEntry) -> bool:
    return book.run(lambda tx: accounting.receive(tx, signed, NOW_S))


def own(book: Book, kind: EntryType) -> int:
    return book.look(lambda view: len(view.apart(kind, book.key)))


def nets(client: Book, provider: Book, line: NetLine, number: int) -> list[SignedEntry]:
    """One behind the other, all of the same balances."""
    head = provider.look(lambda view: view.head())
    assert head is not None
    made: list[SignedEntry] = []
    for at_s in range(number):
        said = Net(provider.key, at_s, head.hash, (line,))
        made.append(forged(client, said, after=made[-1] if made else None))
    return made


@pytest.mark.parametrize("line", [NetLine("EUR", 0, OWED), NetLine("SEK", 0, 0)])
def test_the_same_balances_are_not_signed_again_and_again(line: NetLine) -> None:
    _, provider, client = sold()
    for said in nets(client, provider, line, 5):
        assert takes(provider, said)
    assert own(provider, EntryType.NET) <= 1


def test_new_balances_are_signed_again() -> None:
    world, provider, client = sold()
    for _ in range(2):
        client.run(lambda tx: settling_nets.propose(tx, provider.key, NOW_S))
        world.deliver()
        world.sells(provider, client, 100)
    assert own(provider, EntryType.NET) == 2


def test_so_many_payments_wait_for_our_owner_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounting, "MAX_UNANSWERED", 4)
    _, provider, client = sold()
    said: list[SignedEntry] = []
    for amount_micro in range(1, 6):
        message = Pay(provider.key, NOW_S, amount_micro, Means.CASH)
        said.append(forged(client, message, after=said[-1] if said else None))
    for each in said[:4]:
        assert takes(provider, each)
    with pytest.raises(TooLarge):
        takes(provider, said[4])
    assert not takes(provider, said[3]), "what is held is held"
    provider.run(lambda tx: paying.confirm(tx, said[3].hash, NOW_S))
    assert takes(provider, said[4])


def test_who_acknowledges_nothing_is_answered_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answers would push out of the outbox what waits there for others."""
    monkeypatch.setattr(accounting, "MAX_UNHEARD", 0)
    _, provider, client = sold()
    (said,) = nets(client, provider, NetLine("EUR", 0, OWED), 1)
    assert takes(provider, said)
    assert own(provider, EntryType.NET) == 0
    monkeypatch.setattr(accounting, "MAX_UNHEARD", MAX_UNHEARD)
    assert MAX_UNANSWERED > MAX_UNHEARD > 0
    provider.run(lambda tx: accounting.answer_open(tx, client.key, NOW_S))
    assert own(provider, EntryType.NET) == 1
