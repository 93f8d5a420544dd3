"""An issuer, a provider that trusts its list, and a client with a voucher."""

from dataclasses import replace
from typing import Any

from ledger.message import SignedMessage
from market.voucher import Issuer, IssuerList, Voucher
from tests.support.ledgers import NOW_S, Book, Street, street
from v2xnode.settling import issuers, vouchers

DAY_S = 86_400
SERIAL = b"\x5e" * 16


def issuer_list(issuer: Book, publisher: Book, **changes: Any) -> SignedMessage:
    """A list of one issuer, signed by its publisher."""
    named = Issuer(issuer.key, issuer.key, "Roaming Ltd", 500_000, "EUR", NOW_S + 365 * DAY_S)
    said = IssuerList(publisher=publisher.key, number=1, at_s=NOW_S, issuers=(named,))
    return issuers.sign_list(publisher.identity.signer, replace(said, **changes))


def voucher(issuer: Book, holder: Book, provider: Book | None = None, **changes: Any) -> Voucher:
    said = Voucher(
        serial=SERIAL,
        issuer=issuer.key,
        holder=holder.key,
        provider=() if provider is None else (provider.key,),
        amount_micro=400_000,
        not_before_s=NOW_S - DAY_S,
        until_s=NOW_S + 30 * DAY_S,
    )
    return replace(said, **changes)


def issued(issuer: Book, said: Voucher) -> SignedMessage:
    return issuer.run(lambda tx: vouchers.issue(tx, issuer.identity.signer, said))


def show(book: Book, message: SignedMessage) -> vouchers.Held:
    return book.run(lambda tx: vouchers.add(tx, message, book.now_s))


def roaming(**changes: Any) -> tuple[Street, Book, Book, Book, SignedMessage]:
    """Provider, client, issuer; the client's voucher is shown to the provider, which trusts the issuer's own list."""
    world = street(3)
    provider, client, issuer = world.books
    message = issued(issuer, voucher(issuer, client, provider, **changes))
    provider.run(lambda tx: issuers.add(tx, issuer_list(issuer, issuer)))
    show(client, message)
    show(provider, message)
    return world, provider, client, issuer, message
