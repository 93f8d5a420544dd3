"""Twin of v2xnode/settling/vouchers.py and issuers.py."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ledger import cbor
from ledger.errors import BadSignature, LedgerError, Malformed
from ledger.message import MessageKind, SignedMessage, sign_message
from market.terms import to_map
from market.voucher import MAX_ISSUERS, MAX_REVOKED, Issuer, IssuerList
from tests.support.ledgers import NOW_S, Book, street
from tests.support.vouchers import DAY_S, SERIAL, issued, issuer_list, roaming, show, voucher
from v2xnode.settling import issuers, vouchers
from v2xnode.settling.signing import AccountingRefused


def credit(book: Book, holder: Book, currency: str = "EUR", now_s: int = NOW_S) -> int:
    return book.look(lambda view: vouchers.credit_micro(view, holder.key, currency, now_s))


def refusal(book: Book, message: SignedMessage) -> str:
    """The code with which it is refused; nothing is kept then."""
    before = book.look(lambda view: (list(vouchers.all_vouchers(view)), view.get(f"vouchers:{bytes(16).hex()}")))
    with pytest.raises((AccountingRefused, LedgerError)) as refused:
        show(book, message)
    after = book.look(lambda view: (list(vouchers.all_vouchers(view)), view.get(f"vouchers:{bytes(16).hex()}")))
    assert before == after
    return str(getattr(refused.value, "code", ""))


def test_what_a_peer_may_owe_rises_by_what_is_left_of_its_voucher() -> None:
    _, provider, client, issuer, message = roaming()
    assert credit(provider, client) == 400_000
    assert credit(provider, client, "SEK") == 0
    assert credit(provider, issuer) == 0
    assert credit(provider, client, now_s=NOW_S + 31 * DAY_S) == 0
    show(provider, message)
    assert credit(provider, client) == 400_000, "shown twice is shown once"


def test_hostile_vouchers_are_refused_each_with_its_code() -> None:
    world = street(4)
    provider, client, issuer, thief = world.books
    provider.run(lambda tx: issuers.add(tx, issuer_list(issuer, issuer, revoked=(b"\x66" * 16,))))
    good = voucher(issuer, client, provider)
    cases: list[tuple[str, Callable[[], SignedMessage]]] = [
        ("unknown_issuer", lambda: issued(thief, replace(good, issuer=thief.key))),
        ("wrong_signer", lambda: _signed(thief, good)),
        ("expired", lambda: issued(issuer, replace(good, not_before_s=0, until_s=NOW_S - 1))),
        ("not_yet_valid", lambda: issued(issuer, replace(good, not_before_s=NOW_S + 1))),
        ("wrong_provider", lambda: issued(issuer, replace(good, provider=(thief.key,)))),
        ("revoked", lambda: issued(issuer, replace(good, serial=b"\x66" * 16))),
        ("above_limit", lambda: issued(issuer, replace(good, provider=(), amount_micro=500_001))),
        ("above_limit", lambda: issued(issuer, replace(good, provider=(), amount_micro=2**62))),
    ]
    for code, make in cases:
        assert refusal(provider, make()) == code
    assert credit(provider, client) == 0


def _signed(who: Book, said: Any) -> SignedMessage:
    return sign_message(who.identity.signer, MessageKind.VOUCHER, cbor.encode(to_map(said)))


def test_bytes_that_are_no_voucher_are_refused() -> None:
    world = street(3)
    provider, client, issuer = world.books
    provider.run(lambda tx: issuers.add(tx, issuer_list(issuer, issuer)))
    good = _signed(issuer, voucher(issuer, client, provider))
    signer = issuer.identity.signer
    spelled_out = {**to_map(voucher(issuer, client, provider)), 6: "EUR"}
    huge = {**to_map(voucher(issuer, client, provider)), 3: 2**62 + 1}
    for wrong, code in (
        (replace(good, payload=good.payload + b"\0"), "bad_signature"),
        (replace(good, signature=bytes(64)), "bad_signature"),
        (replace(good, kind=MessageKind.OFFER), "bad_signature"),
        (sign_message(signer, MessageKind.VOUCHER, good.payload + b"\0"), "not_canonical"),
        (sign_message(signer, MessageKind.VOUCHER, b"\xff"), "malformed"),
        (sign_message(signer, MessageKind.VOUCHER, cbor.encode(spelled_out)), "malformed"),
        (sign_message(signer, MessageKind.VOUCHER, cbor.encode(huge)), "malformed"),
        (sign_message(signer, MessageKind.VOUCHER, cbor.encode([1, 2])), "malformed"),
    ):
        assert refusal(provider, wrong) == code


def test_a_voucher_is_ours_to_keep_whoever_issued_it_and_its_issuer_alone_issues_it() -> None:
    world = street(3)
    provider, client, issuer = world.books
    message = issued(issuer, voucher(issuer, client, provider))
    assert show(client, message).remaining_micro == 400_000
    with pytest.raises(AccountingRefused):
        issued(client, voucher(issuer, client, provider))


def test_a_holder_shows_a_few_open_vouchers_and_no_more() -> None:
    world = street(3)
    provider, client, issuer = world.books
    provider.run(lambda tx: issuers.add(tx, issuer_list(issuer, issuer)))
    for number in range(vouchers.MAX_OF_HOLDER):
        show(
            provider,
            issued(issuer, voucher(issuer, client, provider, serial=bytes([number + 1]) * 16, amount_micro=10)),
        )
    assert credit(provider, client) == 10 * vouchers.MAX_OF_HOLDER
    one_more = issued(issuer, voucher(issuer, client, provider, serial=SERIAL))
    with pytest.raises(AccountingRefused) as refused:
        show(provider, one_more)
    assert refused.value.code == "full"


def test_files_carry_vouchers_and_lists() -> None:
    world, provider, client, issuer, message = roaming()
    assert vouchers.from_file(vouchers.to_file(message)) == message
    said = issuer_list(issuer, issuer)
    assert issuers.from_file(issuers.to_file(said)) == said
    with pytest.raises(Malformed, match="v2x-issuers/1"):
        issuers.from_file(vouchers.to_file(message))
    assert (len(world.books), provider.key != client.key) == (3, True)


def test_an_older_list_never_replaces_a_newer() -> None:
    world = street(3)
    provider, _, issuer = world.books
    second = issuer_list(issuer, issuer, number=2, issuers=())
    provider.run(lambda tx: issuers.add(tx, second))
    for number in (1, 2):
        with pytest.raises(AccountingRefused) as refused:
            provider.run(lambda tx, number=number: issuers.add(tx, issuer_list(issuer, issuer, number=number)))  # type: ignore[misc]
        assert refused.value.code == "older_list"
    [held] = provider.look(issuers.lists)
    assert (held.number, held.issuers) == (2, ())


def test_lists_of_several_publishers_stand_beside_each_other_up_to_a_few() -> None:
    world = street(issuers.MAX_PUBLISHERS + 2)
    provider, *others = world.books
    for publisher in others[: issuers.MAX_PUBLISHERS]:
        provider.run(lambda tx, publisher=publisher: issuers.add(tx, issuer_list(publisher, publisher)))  # type: ignore[misc]
    assert provider.look(issuers.issuer_keys) == {book.key for book in others[: issuers.MAX_PUBLISHERS]}
    with pytest.raises(AccountingRefused) as refused:
        provider.run(lambda tx: issuers.add(tx, issuer_list(others[-1], others[-1])))
    assert refused.value.code == "full"


def test_a_list_is_signed_by_its_publisher_and_is_the_one_that_the_owner_means() -> None:
    world = street(3)
    provider, thief, issuer = world.books
    said = issuers.list_of(issuer_list(issuer, issuer))
    with pytest.raises(BadSignature):
        provider.run(lambda tx: issuers.add(tx, issuers.sign_list(thief.identity.signer, said)))
    with pytest.raises(AccountingRefused) as refused:
        provider.run(lambda tx: issuers.add(tx, issuer_list(issuer, issuer), publisher=thief.key))
    assert refused.value.code == "wrong_publisher"


def test_the_longest_list_fits_its_form() -> None:
    world = street(1)
    [publisher] = world.books
    keys = [bytes([number]) * 32 for number in range(MAX_ISSUERS)]
    named = tuple(Issuer(key, key, "€" * 32, 2**62, "EUR", 2**31) for key in keys)
    revoked = tuple(number.to_bytes(16, "big") for number in range(MAX_REVOKED))
    said = IssuerList(publisher=publisher.key, number=2**32 - 1, at_s=NOW_S, issuers=named, revoked=revoked)
    message = issuers.sign_list(publisher.identity.signer, said)
    assert issuers.list_of(message) == said
    publisher.run(lambda tx: issuers.add(tx, message))
