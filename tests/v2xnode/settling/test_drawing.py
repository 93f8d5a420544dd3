"""Twin of v2xnode/settling/drawing.py: a trade is paid by voucher, and its issuer owes from then on."""

import pytest

from ledger.entry import SignedEntry
from market.terms import Draw, Means, Pay
from tests.support.ledgers import NOW_S, PRICE, Book, forged, street
from tests.support.vouchers import DAY_S, issued, issuer_list, roaming, show, voucher
from v2xnode.settling import drawing, issuers, paying, vouchers
from v2xnode.settling.names import payable, receivable
from v2xnode.settling.signing import AccountingRefused

COST = 400 * PRICE // 1000


def draws(book: Book, trade: bytes, digest: bytes) -> SignedEntry:
    return book.run(lambda tx: drawing.draw(tx, trade, digest, book.now_s))


def left(book: Book, digest: bytes) -> int:
    held = book.look(lambda view: vouchers.find(view, digest))
    assert held is not None
    return held.remaining_micro


def refusal(book: Book, trade: bytes, digest: bytes) -> str:
    with pytest.raises(AccountingRefused) as refused:
        draws(book, trade, digest)
    return refused.value.code


def test_a_draw_moves_the_debt_to_the_issuer_in_both_books() -> None:
    world, provider, client, issuer, message = roaming()
    trade = world.sells(provider, client, 400)
    draws(client, trade, message.hash)
    assert provider.owed_by(client) == COST, "the provider has not taken it yet"
    world.deliver()
    assert provider.owed_by(client) == client.owed_by(provider) == 0
    assert provider.balance(receivable(issuer.key)).posted_micro == COST
    assert client.balance(payable(issuer.key)).posted_micro == -COST
    assert left(provider, message.hash) == left(client, message.hash) == 400_000 - COST
    assert provider.look(lambda view: vouchers.credit_micro(view, client.key, "EUR", NOW_S)) == 400_000 - COST


def test_a_voucher_pays_as_far_as_it_reaches_and_the_rest_is_owed_as_before() -> None:
    world, provider, client, issuer, message = roaming(amount_micro=100_000)
    trade = world.sells(provider, client, 400)
    draws(client, trade, message.hash)
    world.deliver()
    assert provider.owed_by(client) == COST - 100_000 == -client.owed_by(provider)
    assert provider.owed_by(issuer) == 100_000
    assert refusal(client, trade, message.hash) == "spent"


def test_a_client_that_falls_silent_has_signed_enough_for_its_provider_to_draw() -> None:
    world, provider, client, issuer, message = roaming()
    trade = world.sells(provider, client, 400)
    draws(provider, trade, message.hash)
    assert (provider.owed_by(client), provider.owed_by(issuer)) == (0, COST)
    draws(client, trade, message.hash)
    world.deliver()
    assert (provider.owed_by(client), provider.owed_by(issuer)) == (0, COST), "it counts once"
    assert client.owed_by(provider) == 0


def test_a_trade_is_paid_once() -> None:
    world, provider, client, _, message = roaming()
    trade = world.sells(provider, client, 400)
    draws(client, trade, message.hash)
    world.deliver()
    assert refusal(client, trade, message.hash) == "paid"
    assert refusal(provider, trade, message.hash) == "paid"
    other = world.sells(provider, client, 400)
    got = client.owed_by(provider)
    client.run(lambda tx: paying.pay(tx, provider.key, -got, "EUR", Means.CASH, "", NOW_S))
    assert refusal(client, other, message.hash) == "paid"


def test_what_does_not_fit_is_refused_with_its_code() -> None:
    world, provider, client, issuer, message = roaming()
    trade = world.sells(provider, client, 400)
    assert refusal(client, trade, bytes(32)) == "no_voucher"
    assert refusal(client, bytes(16), message.hash) == "not_settled"
    kronor = issued(issuer, voucher(issuer, client, provider, serial=bytes(16), currency="SEK"))
    elsewhere = issued(issuer, voucher(issuer, client, issuer_other(), serial=b"\x01" * 16))
    over = issued(issuer, voucher(issuer, client, provider, serial=b"\x02" * 16, until_s=NOW_S - 1))
    show(client, kronor)
    show(client, elsewhere)
    assert refusal(client, trade, kronor.hash) == "wrong_currency"
    assert refusal(client, trade, elsewhere.hash) == "wrong_provider"
    client.now_s = NOW_S - 1
    show(client, over)
    assert refusal(client, trade, over.hash) == "expired"


def issuer_other() -> Book:
    return street(4).books[3]


def test_a_trade_agreed_before_the_voucher_ended_is_paid_by_it_also_afterwards() -> None:
    world, provider, client, issuer, message = roaming()
    trade = world.sells(provider, client, 400)
    for book in (provider, client):
        book.now_s = NOW_S + 60 * DAY_S
    draws(client, trade, message.hash)
    world.deliver()
    assert provider.owed_by(issuer) == COST


@pytest.mark.parametrize("lie", ["more", "issuer", "unknown", "trade", "holder"])
def test_a_draw_that_the_provider_would_not_sign_itself_is_left_unanswered(lie: str) -> None:
    world, provider, client, issuer, message = roaming()
    trade = world.sells(provider, client, 400)
    draw = Draw(
        voucher=bytes(32) if lie == "unknown" else message.hash,
        issuer=client.key if lie == "issuer" else issuer.key,
        holder=issuer.key if lie == "holder" else client.key,
        trade=bytes(16) if lie == "trade" else trade,
    )
    said = Pay(provider.key, NOW_S, COST + 1 if lie == "more" else COST, Means.VOUCHER, draws=(draw,))
    provider.inbox.append(forged(client, said))
    world.deliver()
    assert (provider.owed_by(client), provider.owed_by(issuer)) == (COST, 0)
    assert provider.refused == []


def test_a_voucher_that_was_revoked_before_the_trade_is_not_taken_for_it() -> None:
    world, provider, client, issuer, message = roaming()
    trade = world.sells(provider, client, 400)
    newer = issuer_list(issuer, issuer, number=2, revoked=(voucher(issuer, client).serial,))
    provider.run(lambda tx: issuers.add(tx, newer))
    draws(client, trade, message.hash)
    world.deliver()
    assert provider.owed_by(client) == COST
    assert provider.look(lambda view: vouchers.credit_micro(view, client.key, "EUR", NOW_S)) == 0
