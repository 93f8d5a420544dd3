"""Twin of v2xnode/settling/redeeming.py: what was drawn comes home to its issuer, once."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from ledger.errors import LedgerError
from ledger.message import SignedMessage
from market.voucher import REDEEM_WITHIN_S
from tests.support.ledgers import NOW_S, PRICE, Book, Street, street
from tests.support.vouchers import DAY_S, issued, issuer_list, roaming, show, voucher
from v2xnode.settling import drawing, issuers, redeeming
from v2xnode.settling.names import payable, receivable
from v2xnode.settling.signing import AccountingRefused

Json = Any
COST = 400 * PRICE // 1000


def drawn(**changes: Any) -> tuple[Street, Book, Book, Book, SignedMessage]:
    """Two trades, both paid by the client's voucher."""
    world, provider, client, issuer, message = roaming(**changes)
    for _ in range(2):
        trade = world.sells(provider, client, 400)
        client.run(lambda tx, trade=trade: drawing.draw(tx, trade, message.hash, NOW_S))  # type: ignore[misc]
    world.deliver()
    return world, provider, client, issuer, message


def claim(provider: Book, message: SignedMessage) -> bytes:
    return provider.look(lambda view: redeeming.claim_file(view, message.hash))


def redeem(issuer: Book, data: bytes, now_s: int = NOW_S) -> int:
    return len(issuer.run(lambda tx: redeeming.redeem(tx, data, now_s)))


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises((AccountingRefused, LedgerError)) as refused:
        act()
    return str(getattr(refused.value, "code", ""))


def test_the_file_proves_itself_and_the_issuer_owes_the_provider() -> None:
    world, provider, client, issuer, message = drawn()
    data = claim(provider, message)
    found = redeeming.read(data)
    assert (found.amount_micro, found.provider, len(found.claims)) == (2 * COST, provider.key, 2)
    assert redeem(issuer, data) == 2
    assert issuer.balance(payable(provider.key)).posted_micro == -2 * COST
    assert issuer.balance(receivable(client.key)).posted_micro == 2 * COST
    assert provider.owed_by(issuer) == -issuer.owed_by(provider)
    assert client.owed_by(issuer) == -issuer.owed_by(client)
    world.deliver()
    assert provider.owed_by(issuer) == 2 * COST


def test_a_silent_clients_receipts_are_enough() -> None:
    world, provider, client, issuer, message = roaming()
    trade = world.sells(provider, client, 400)
    provider.run(lambda tx: drawing.draw(tx, trade, message.hash, NOW_S))
    assert redeem(issuer, claim(provider, message)) == 1
    assert issuer.owed_by(client) == COST


def test_what_was_redeemed_is_not_redeemed_again_and_new_draws_are() -> None:
    world, provider, client, issuer, message = drawn()
    redeem(issuer, claim(provider, message))
    assert refusal(lambda: redeem(issuer, claim(provider, message))) == "redeemed_already"
    trade = world.sells(provider, client, 400)
    client.run(lambda tx: drawing.draw(tx, trade, message.hash, NOW_S))
    world.deliver()
    assert redeem(issuer, claim(provider, message)) == 1
    assert issuer.owed_by(client) == 3 * COST


def test_who_did_not_issue_it_does_not_redeem_it_and_not_long_after_its_end() -> None:
    _, provider, client, issuer, message = drawn()
    data = claim(provider, message)
    assert refusal(lambda: redeem(client, data)) == "unknown_voucher"
    end_s = NOW_S + 30 * DAY_S
    assert refusal(lambda: redeem(issuer, data, end_s + REDEEM_WITHIN_S + 1)) == "too_late"
    assert redeem(issuer, data, end_s + REDEEM_WITHIN_S) == 2


def test_a_voucher_for_any_provider_is_overdrawn_at_two_and_paid_once() -> None:
    """The risk that stays with the issuer is bounded: what is left of the voucher is all that it pays."""
    world = street(4)
    first, client, issuer, second = world.books
    message = issued(issuer, voucher(issuer, client, amount_micro=150_000))
    show(client, message)
    for provider in (first, second):
        provider.run(lambda tx: issuers.add(tx, issuer_list(issuer, issuer)))
        show(provider, message)
        trade = world.sells(provider, client, 400)
        provider.run(lambda tx, trade=trade: drawing.draw(tx, trade, message.hash, NOW_S))  # type: ignore[misc]
    redeem(issuer, claim(first, message))
    assert refusal(lambda: redeem(issuer, claim(second, message))) == "overdrawn"
    assert issuer.owed_by(first) == -COST


def test_nothing_drawn_is_nothing_to_claim() -> None:
    _, provider, _, _, message = roaming()
    assert refusal(lambda: claim(provider, message)) == "no_draws"


def altered(data: bytes, change: Callable[[Json], None]) -> bytes:
    value = json.loads(data)
    change(value)
    return json.dumps(value).encode()


def _swap_trades(value: Json) -> None:
    one, other = value["claims"]
    one["trade"], other["trade"] = other["trade"], one["trade"]


def _swap_draws(value: Json) -> None:
    one, other = value["claims"]
    one["draw"], other["draw"] = other["draw"], one["draw"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda value: value["claims"].append(value["claims"][0]), "overdrawn"),
        (lambda value: value["claims"][0]["evidence"].pop(0), "malformed"),
        (lambda value: value["claims"][0]["evidence"].pop(1), "malformed"),
        (lambda value: value["claims"][0]["evidence"].pop(2), "overdrawn"),
        (lambda value: value["claims"][0].update(draw=value["claims"][0]["evidence"][2]), "malformed"),
        (lambda value: value["claims"][0]["draw"].update(signature="A" * 86 + "=="), "bad_signature"),
        (lambda value: value["claims"].clear(), "wrong_provider"),
        (lambda value: value["voucher"].update(signature="A" * 86 + "=="), "bad_signature"),
        (lambda value: value.update(more=1), "malformed"),
        (lambda value: value.update(form="v2x-voucher/1"), "malformed"),
        (lambda value: value.update(claims=[{}] * 257), "too_large"),
        (_swap_trades, "bad_commitment"),
        (_swap_draws, "malformed"),
    ],
)
def test_what_was_altered_is_refused_and_changes_nothing(change: Callable[[Json], None], code: str) -> None:
    _, provider, _, issuer, message = drawn()
    data = altered(claim(provider, message), change)
    before = issuer.look(lambda view: view.head())
    assert refusal(lambda: redeem(issuer, data)) == code
    assert issuer.look(lambda view: view.head()) == before


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"form": 1}', b'{"form": "v2x-redemption/1"}'])
def test_what_is_no_file_of_this_form_is_refused(data: bytes) -> None:
    assert refusal(lambda: redeeming.read(data)) == "malformed"
