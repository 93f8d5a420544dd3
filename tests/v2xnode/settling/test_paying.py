"""Twin of v2xnode/settling/paying.py and payments.py."""

import pytest

from ledger.entry import SignedEntry
from ledger.errors import Malformed
from market.terms import Means, Pay
from tests.support.ledgers import NOW_S, PRICE, Book, Street, forged, street
from v2xnode.envelope import body_of
from v2xnode.settling import accounting, paying
from v2xnode.settling.names import paid, received
from v2xnode.settling.signing import AccountingRefused
from v2xnode.settling.waiting import waiting

OWED = 400 * PRICE // 1000


def sold() -> tuple[Street, Book, Book]:
    world = street()
    provider, client = world.books
    world.sells(provider, client, 400)
    return world, provider, client


def pays(book: Book, peer: Book, amount_micro: int) -> SignedEntry:
    return book.run(lambda tx: paying.pay(tx, peer.key, amount_micro, "EUR", Means.BANK, "E2E 7", NOW_S))


def confirms(book: Book, said: SignedEntry) -> SignedEntry:
    return book.run(lambda tx: paying.confirm(tx, said.hash, NOW_S))


def test_each_side_moves_its_own_books_when_itself_has_signed() -> None:
    world, provider, client = sold()
    said = pays(client, provider, 50_000)
    world.deliver()
    assert client.owed_by(provider) == 50_000 - OWED
    assert client.balance(paid(Means.BANK)).posted_micro == -50_000
    assert provider.owed_by(client) == OWED, "that it was paid is the payer's word alone"
    confirms(provider, said)
    world.deliver()
    assert provider.owed_by(client) == OWED - 50_000 == -client.owed_by(provider)
    assert provider.balance(received(Means.BANK)).posted_micro == 50_000


def test_the_payee_may_be_first() -> None:
    world, provider, client = sold()
    got = provider.run(lambda tx: paying.receive(tx, client.key, OWED, "EUR", Means.CASH, "", NOW_S))
    world.deliver()
    assert client.owed_by(provider) == -OWED
    confirms(client, got)
    world.deliver()
    assert provider.owed_by(client) == client.owed_by(provider) == 0


def test_more_than_is_owed_is_not_signed_and_the_sentence_says_what_is() -> None:
    _, provider, client = sold()
    with pytest.raises(AccountingRefused, match=r"We owe 0\.120000 EUR") as refused:
        pays(client, provider, OWED + 1)
    assert (refused.value.code, refused.value.details) == ("more_than_owed", {"owed_micro": OWED})
    with pytest.raises(AccountingRefused, match="The peer owes"):
        provider.run(lambda tx: paying.receive(tx, client.key, OWED + 1, "EUR", Means.CASH, "", NOW_S))
    with pytest.raises(AccountingRefused):
        client.run(lambda tx: paying.pay(tx, provider.key, 1, "SEK", Means.CASH, "", NOW_S))


@pytest.mark.parametrize(("amount_micro", "reference"), [(0, ""), (-5, ""), (1, "x" * 65), (1, "a\nb")])
def test_what_a_payment_cannot_say_is_refused(amount_micro: int, reference: str) -> None:
    _, provider, client = sold()
    with pytest.raises(AccountingRefused) as refused:
        client.run(lambda tx: paying.pay(tx, provider.key, amount_micro, "EUR", Means.CASH, reference, NOW_S))
    assert refused.value.code == "usage"


def test_a_payment_is_confirmed_once() -> None:
    world, provider, client = sold()
    said = pays(client, provider, 50_000)
    world.deliver()
    confirms(provider, said)
    with pytest.raises(AccountingRefused) as refused:
        confirms(provider, said)
    assert refused.value.code == "answered_already"
    assert provider.owed_by(client) == OWED - 50_000
    world.deliver()
    with pytest.raises(AccountingRefused) as refused:
        client.run(lambda tx: paying.confirm(tx, said.hash, NOW_S))
    assert refused.value.code == "no_payment"


def test_an_answer_that_differs_moves_nothing() -> None:
    """Our own ledger refuses to sign it, a peer's is the peer's own word."""
    world, provider, client = sold()
    said = pays(client, provider, 50_000)
    world.deliver()
    kind, body = body_of(Pay(client.key, NOW_S, 60_000, Means.BANK, received=True))
    with pytest.raises(ValueError, match="another payment"):
        provider.run(lambda tx: tx.append(kind, body, answers=said.hash))
    assert provider.owed_by(client) == OWED


def test_a_peer_that_says_it_has_paid_pays_nothing() -> None:
    world, provider, client = sold()
    for _ in range(3):
        pays(client, provider, 10_000)
    world.deliver()
    assert provider.owed_by(client) == OWED


def test_a_third_party_answers_no_payment_of_ours_to_somebody_else() -> None:
    world = street(3)
    provider, client, third = world.books
    world.sells(provider, client, 400)
    world.sells(third, client, 400)
    ours = pays(client, provider, 50_000)
    said = Pay(client.key, NOW_S, 50_000, Means.BANK, "EUR", "E2E 7", received=True)
    with pytest.raises(Malformed):
        client.run(lambda tx: accounting.receive(tx, forged(third, said, ours.hash), NOW_S))


def test_a_payment_that_both_have_signed_unasked_is_not_signed_a_second_time() -> None:
    """The payer says that it paid, the payee that it got it; the two cross, and each owner is asked to confirm."""
    world, provider, client = sold()
    said = pays(client, provider, 50_000)
    got = provider.run(lambda tx: paying.receive(tx, client.key, 50_000, "EUR", Means.BANK, "", NOW_S))
    world.deliver()
    for book, theirs in ((provider, said), (client, got)):
        with pytest.raises(AccountingRefused) as refused:
            confirms(book, theirs)
        assert refused.value.code == "crossed"
        assert book.look(waiting) == []
    assert provider.owed_by(client) == OWED - 50_000 == -client.owed_by(provider)
