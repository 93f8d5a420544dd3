"""The owner's steps about money that moved outside: it was paid, or it has come."""

from dataclasses import replace

from ledger.entry import SignedEntry
from ledger.store.transaction import Transaction
from ledger.store.view import View
from market.errors import TermsInvalid
from market.terms import Means, Pay
from v2xnode.settling.answers import is_answered, is_crossed, paired
from v2xnode.settling.netting import between
from v2xnode.settling.signing import AccountingRefused, append, short_amount


def pay(
    transaction: Transaction, peer: bytes, amount_micro: int, currency: str, means: Means, reference: str, now_s: int
) -> SignedEntry:
    """Sign that we have paid a peer outside. Raises AccountingRefused for more than we owe it (`more_than_owed`) and
    for what a Pay can't say (`usage`)."""
    return append(transaction, _pay(peer, now_s, amount_micro, means, currency, reference, transaction), b"", now_s)


def receive(
    transaction: Transaction, peer: bytes, amount_micro: int, currency: str, means: Means, reference: str, now_s: int
) -> SignedEntry:
    """Sign that we got an amount from a peer that has not said so. Raises as `pay`."""
    message = _pay(peer, now_s, amount_micro, means, currency, reference, transaction, received=True)
    return append(transaction, message, b"", now_s)


def confirm(transaction: Transaction, digest: bytes, now_s: int) -> SignedEntry:
    """Sign the other side of a peer's Pay: that we got what it has paid, or have paid what it got.

    Raises AccountingRefused where there is no such Pay of a peer (`no_payment`), where ours is signed already
    (`answered_already`), where we have signed it unasked (`crossed`), and
    for a voucher's, which has a way of its own (`by_voucher`).
    """
    stored, message = paired(transaction, digest) or (None, None)
    if stored is None or stored.own or not isinstance(message, Pay):
        raise AccountingRefused("No peer has shown us this payment.", code="no_payment")
    if message.draw is not None:
        raise AccountingRefused("A payment by voucher is confirmed by drawing on it.", code="by_voucher")
    if is_answered(transaction, stored, message):
        raise AccountingRefused("This payment is signed by both already.", code="answered_already")
    if is_crossed(transaction, stored, message):
        raise AccountingRefused("We have signed this payment already, without being asked.", code="crossed")
    return append(transaction, answer_to(message, stored.entry.node, now_s), digest, now_s)


def answer_to(message: Pay, peer: bytes, now_s: int) -> Pay:
    """The other side's Pay of the same payment."""
    return Pay(
        peer=peer,
        at_s=now_s,
        amount_micro=message.amount_micro,
        means=message.means,
        currency=message.currency,
        reference=message.reference,
        received=not message.received,
        draws=message.draws,
    )


def paid_by_issuer(message: Pay, provider: bytes, now_s: int) -> Pay:
    """The issuer's Pay for a provider's draw: it owes the provider now, and the holder owes it."""
    return replace(answer_to(message, provider, now_s), reference="")


def _pay(
    peer: bytes,
    now_s: int,
    amount_micro: int,
    means: Means,
    currency: str,
    reference: str,
    view: View,
    *,
    received: bool = False,
) -> Pay:
    line = between(view, peer).get(currency)
    most_micro = 0 if line is None else line.owed_micro if received else line.owing_micro
    if amount_micro > most_micro:
        who = "The peer owes" if received else "We owe"
        sentence = f"{who} {short_amount(most_micro, currency)}, less than {short_amount(amount_micro, currency)}."
        raise AccountingRefused(sentence, code="more_than_owed", owed_micro=most_micro)
    try:
        return Pay(peer, now_s, amount_micro, means, currency, reference, received)
    except TermsInvalid as problem:
        raise AccountingRefused(f"This can't be signed as a payment: {problem}.", code="usage") from None
