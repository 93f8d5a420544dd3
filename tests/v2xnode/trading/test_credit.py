"""What a peer may still owe: caps, and what payments, nets, disputes and vouchers do to the room below them."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from ledger.store.transaction import Transaction
from market.errors import Reason
from market.terms import Decline, Means, Offer, Request
from tests.support.ledgers import NOW_S, PRICE, Book, street
from tests.support.market_terms import request
from tests.support.node_shop import Shop, shop
from tests.support.vouchers import issuer_list, roaming
from v2xnode.clock import Clock
from v2xnode.settling import disputes, drawing, issuers, nets, paying
from v2xnode.trading.books import Books
from v2xnode.trading.owner import Asker

T = TypeVar("T")
OWED_MICRO = 400 * PRICE // 1000
CAP = {"debt_cap_micro": OWED_MICRO}
CLOCK = Clock(1, NOW_S * 1000, 0, lambda: 0.0, lambda: 0.0)


class AtOnce:
    """A writer without a thread, over a ledger in memory."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def submit(self, fn: Callable[[Transaction], T]) -> "Future[T]":
        future: Future[T] = Future()
        future.set_result(self._book.run(fn))
        return future


def of(book: Book) -> Books:
    return Books(AtOnce(book), CLOCK)


async def answer(side: Shop, peer: Book, asked: Request | None = None) -> Offer | Decline:
    return await side.owner.quote(asked or request(energy_min_wh=1), None, Asker(peer.key, side.electrical, "EUR"))


async def is_welcome(side: Shop, peer: Book) -> bool:
    said = await answer(side, peer)
    assert isinstance(said, Offer) or said.reason is Reason.CREDIT_LIMIT
    return isinstance(said, Offer)


async def test_a_payment_counts_from_the_payees_own_signature_on() -> None:
    world = street()
    provider, client = world.books
    world.sells(provider, client, 400)
    async with shop(owner=CAP, books=of(provider)) as side:
        assert not await is_welcome(side, client)
        said = client.run(lambda tx: paying.pay(tx, provider.key, OWED_MICRO, "EUR", Means.BANK, "", NOW_S))
        world.deliver()
        assert not await is_welcome(side, client), "that it has paid is the client's word alone"
        provider.run(lambda tx: paying.confirm(tx, said.hash, NOW_S))
        assert await is_welcome(side, client)


async def test_what_would_pass_does() -> None:
    world = street()
    provider, client = world.books
    world.sells(provider, client, 200)
    async with shop(owner=CAP, books=of(provider)) as side:
        asked = request(energy_wh=10_000, energy_min_wh=9_000)
        said = await answer(side, client, asked)
        assert isinstance(said, Decline)
        assert said.would_pass is not None
        again = request(energy_wh=said.would_pass.value, energy_min_wh=said.would_pass.value)
        assert isinstance(await answer(side, client, again), Offer)
        more = request(energy_wh=said.would_pass.value + 1, energy_min_wh=said.would_pass.value + 1)
        assert isinstance(await answer(side, client, more), Decline)


async def test_a_net_of_both_lowers_what_counts() -> None:
    world = street()
    provider, client = world.books
    world.sells(provider, client, 400)
    world.sells(client, provider, 100)
    async with shop(owner=CAP, books=of(provider)) as side:
        client.run(lambda tx: nets.propose(tx, provider.key, NOW_S))
        assert not await is_welcome(side, client)
        world.deliver()
        assert await is_welcome(side, client)


async def test_what_is_parked_is_no_debt_until_both_have_agreed_on_it() -> None:
    world = street()
    provider, client = world.books
    trade = world.sells(provider, client, 400, client_wh=390)
    async with shop(owner=CAP, books=of(provider)) as side:
        assert await is_welcome(side, client)
        client.run(lambda tx: disputes.resolve(tx, trade, 400, NOW_S))
        world.deliver()
        assert await is_welcome(side, client)
        provider.run(lambda tx: disputes.agree(tx, trade, NOW_S))
        assert not await is_welcome(side, client)


async def test_a_voucher_makes_room_and_its_draws_are_the_issuers_debt() -> None:
    world, provider, client, issuer, message = roaming()
    trade = world.sells(provider, client, 400)
    async with shop(owner=CAP, books=of(provider)) as side:
        assert await is_welcome(side, client)
        client.run(lambda tx: drawing.draw(tx, trade, message.hash, NOW_S))
        world.deliver()
        assert await is_welcome(side, client)
        revoked = issuer_list(issuer, issuer, number=2, revoked=(b"\x5e" * 16,))
        provider.run(lambda tx: issuers.add(tx, revoked))
        assert await is_welcome(side, client), "what was drawn is no debt of the client's any more"


async def test_what_an_issuer_owes_is_no_strangers_debt() -> None:
    world, provider, client, _, message = roaming()
    trade = world.sells(provider, client, 400)
    client.run(lambda tx: drawing.draw(tx, trade, message.hash, NOW_S))
    world.deliver()
    stranger = street(5).books[4]
    async with shop(owner={"stranger_debt_cap_micro": OWED_MICRO}, books=of(provider)) as side:
        assert await is_welcome(side, stranger)


async def test_without_its_voucher_a_client_at_its_cap_is_refused() -> None:
    world, provider, client, issuer, _ = roaming()
    world.sells(provider, client, 400)
    async with shop(owner=CAP, books=of(provider)) as side:
        assert await is_welcome(side, client)
        revoked = issuer_list(issuer, issuer, number=2, revoked=(b"\x5e" * 16,))
        provider.run(lambda tx: issuers.add(tx, revoked))
        assert not await is_welcome(side, client)
