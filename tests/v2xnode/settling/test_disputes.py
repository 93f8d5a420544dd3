"""Twin of v2xnode/settling/disputes.py and resolving.py: a dispute ends when both owners have signed the same."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.terms import Resolve
from tests.support.ledgers import NOW_S, PRICE, Book, Street, street
from v2xnode.envelope import body_of
from v2xnode.settling import disputes
from v2xnode.settling.resolving import MAX_RESOLVES
from v2xnode.settling.signing import AccountingRefused


def disputed(provider_wh: int = 400, client_wh: int = 250) -> tuple[Street, Book, Book, bytes]:
    world = street()
    provider, client = world.books
    return world, provider, client, world.sells(provider, client, provider_wh, client_wh=client_wh)


def propose(book: Book, trade: bytes, agreed_wh: int) -> None:
    book.run(lambda tx: disputes.resolve(tx, trade, agreed_wh, NOW_S))


def agree(book: Book, trade: bytes) -> None:
    book.run(lambda tx: disputes.agree(tx, trade, NOW_S))


def cost(energy_wh: int) -> int:
    return energy_wh * PRICE // 1000


def test_the_undisputed_part_is_settled_and_the_difference_parked() -> None:
    _, provider, client, trade = disputed()
    for book in (provider, client):
        told = book.told(trade)
        assert told.state == "settled"
        assert told.parked is not None
        assert (told.parked.parked_wh, told.agreed_wh, told.resolution) == (150, 250, None)
    assert provider.owed_by(client) == cost(250) == -client.owed_by(provider)


def test_a_proposal_moves_nothing_and_its_agreement_posts_the_difference_on_both_sides() -> None:
    world, provider, client, trade = disputed()
    propose(provider, trade, 360)
    world.deliver()
    assert provider.owed_by(client) == cost(250) == -client.owed_by(provider)
    agree(client, trade)
    assert client.owed_by(provider) == -cost(360)
    assert provider.owed_by(client) == cost(250), "the peer's signature is not held yet"
    world.deliver()
    assert provider.owed_by(client) == cost(360)
    for book in (provider, client):
        told = book.told(trade)
        assert (told.state, told.agreed_wh, told.parked) == ("resolved", 360, None)
        assert told.correction_micro == cost(360) - cost(250)
        assert told.settlement is not None
        assert told.settlement.agreed_wh == 250, "nothing was edited"


def test_the_other_may_propose_otherwise_and_that_is_agreed_on() -> None:
    world, provider, client, trade = disputed()
    propose(provider, trade, 400)
    world.deliver()
    propose(client, trade, 300)
    world.deliver()
    assert provider.told(trade).state == "settled"
    agree(provider, trade)
    world.deliver()
    assert provider.owed_by(client) == cost(300) == -client.owed_by(provider)


@pytest.mark.parametrize("agreed_wh", [249, 401])
def test_nothing_below_what_is_undisputed_or_above_the_larger_register_is_signed(agreed_wh: int) -> None:
    _, provider, _, trade = disputed()
    with pytest.raises(AccountingRefused) as refused:
        propose(provider, trade, agreed_wh)
    assert refused.value.code == "out_of_range"
    assert refused.value.details == {"least_wh": 250, "most_wh": 400}


def test_a_trade_without_a_dispute_and_a_resolved_one_take_no_resolve() -> None:
    world = street()
    provider, client = world.books
    peaceful = world.sells(provider, client, 100)
    with pytest.raises(AccountingRefused, match="disputed"):
        propose(provider, peaceful, 100)
    trade = world.sells(provider, client, 400, client_wh=250)
    propose(provider, trade, 300)
    world.deliver()
    agree(client, trade)
    world.deliver()
    for book in (provider, client):
        with pytest.raises(AccountingRefused) as refused:
            propose(book, trade, 400)
        assert refused.value.code == "nothing_disputed"


def test_there_has_to_be_a_proposal_to_agree_to() -> None:
    _, provider, _, trade = disputed()
    with pytest.raises(AccountingRefused) as refused:
        agree(provider, trade)
    assert refused.value.code == "no_proposal"


def test_amounts_that_the_offer_does_not_make_of_the_energy_are_not_agreed_to() -> None:
    world, provider, client, trade = disputed()
    kind, body = body_of(Resolve(client.key, NOW_S, 300, (cost(400),)))
    answers = provider.told(trade).entries[-3][0].hash
    signed = provider.run(lambda tx: tx.append(kind, body, answers=answers, request_id=trade))
    client.inbox.append(signed)
    world.deliver()
    with pytest.raises(AccountingRefused) as refused:
        agree(client, trade)
    assert refused.value.code == "wrong_amounts"
    assert client.owed_by(provider) == -cost(250)


def test_a_peer_signs_no_more_than_a_few() -> None:
    world, provider, client, trade = disputed()
    for _ in range(MAX_RESOLVES):
        propose(provider, trade, 300)
    with pytest.raises(ValueError, match="at most"):
        propose(provider, trade, 300)
    world.deliver()
    assert len(client.told(trade).of(Resolve)) == MAX_RESOLVES


@settings(max_examples=10, deadline=None)
@given(st.integers(250, 400), st.integers(250, 400), st.lists(st.integers(0, 1), max_size=6))
def test_two_agreements_that_cross_come_to_the_providers_proposal_in_both_books(
    of_provider: int, of_client: int, order: list[int]
) -> None:
    world, provider, client, trade = disputed()
    propose(provider, trade, of_provider)
    propose(client, trade, of_client)
    world.deliver()
    agree(provider, trade)
    agree(client, trade)
    world.send()
    for place in order:
        if world.books[place].inbox:
            world.books[place].take()
    world.deliver()
    assert provider.owed_by(client) == cost(of_provider) == -client.owed_by(provider)
    assert provider.told(trade).agreed_wh == client.told(trade).agreed_wh == of_provider
