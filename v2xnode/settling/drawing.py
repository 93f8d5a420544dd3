"""Paying for a trade by voucher: the holder says so, the provider takes it if it would take the voucher."""

from ledger.entry import SignedEntry
from ledger.store.transaction import Transaction
from ledger.store.view import StoredEntry, View
from market.terms import Accept, Close, Closed, Confirm, Draw, Means, NetLine, Pay
from market.units import Role
from market.voucher import use_fault
from v2xnode.settling.names import covered
from v2xnode.settling.netting import between
from v2xnode.settling.paying import answer_to
from v2xnode.settling.signing import AccountingRefused, append
from v2xnode.settling.trades import Trade, trade
from v2xnode.settling.vouchers import Held, fault_at_us, find


def draw(transaction: Transaction, request_id: bytes, digest: bytes, now_s: int) -> SignedEntry:
    """Sign that a settled trade is paid by a voucher, as far as that reaches: as its client, or as the provider of a
    client that does not say so itself. From then on, in our books, its issuer owes or is owed instead.

    Raises AccountingRefused for a voucher that we don't have (`no_voucher`), a trade that is not settled
    (`not_settled`), nothing left of either (`spent`, `paid`), another currency (`wrong_currency`), or with the code of
    a `VoucherFault`.
    """
    held, told = find(transaction, digest), trade(transaction, request_id)
    if held is None:
        raise AccountingRefused("This voucher is not held here.", code="no_voucher")
    if told is None or told.settlement is None:
        raise AccountingRefused("This trade is not settled.", code="not_settled")
    _check_fits(transaction, held, told)
    message = Pay(
        peer=told.peer,
        at_s=now_s,
        amount_micro=_amount_micro(transaction, held, told),
        means=Means.VOUCHER,
        currency=held.voucher.currency,
        received=told.role is Role.PROVIDER,
        draws=(Draw(digest, held.voucher.issuer, held.voucher.holder, request_id),),
    )
    return append(transaction, message, _settlement_hash(told), now_s)


def answer(transaction: Transaction, stored: StoredEntry, message: Pay, now_s: int) -> SignedEntry | None:
    """Our side of a draw that the peer has signed; None where we would not have drawn as much on that voucher."""
    said = message.draw
    told = None if said is None else trade(transaction, said.trade)
    if said is None or told is None or told.settlement is None:
        return None
    if message.received is not (told.role is Role.CLIENT):  # who was paid is the provider
        return None
    held = find(transaction, said.voucher)
    if held is None or told.peer != stored.entry.node or message.amount_micro < 1:
        return None
    names = (said.issuer, said.holder, message.currency)
    if names != (held.voucher.issuer, held.voucher.holder, held.voucher.currency):
        return None
    try:
        _check_fits(transaction, held, told)
        if message.amount_micro > _amount_micro(transaction, held, told):
            return None
    except AccountingRefused:
        return None
    return append(transaction, answer_to(message, told.peer, now_s), stored.hash, now_s)


def _check_fits(view: View, held: Held, told: Trade) -> None:
    """Whether the voucher is good for this trade, by the moment when its client accepted it."""
    provider, client = (view.node, told.peer) if told.role is Role.PROVIDER else (told.peer, view.node)
    voucher = held.voucher
    if told.offer is None or told.offer.currency != voucher.currency:
        raise AccountingRefused("The voucher is in another currency than the trade.", code="wrong_currency")
    if told.role is Role.PROVIDER:
        fault = fault_at_us(view, voucher, held.message.signer, client, agreed_at_s(told))
    else:
        fault = use_fault(voucher, client, provider, agreed_at_s(told))
    if fault is not None:
        raise AccountingRefused(fault.sentence, code=fault.value)


def agreed_at_s(told: Trade) -> int:
    """When the two agreed, by the later of their clocks: neither can use a voucher that is over by its own alone."""
    return max((message.at_s for message in (*told.of(Accept), *told.of(Confirm))), default=0)


def _amount_micro(view: View, held: Held, told: Trade) -> int:
    """What is left of the voucher, not covered of the trade, and not paid in another way."""
    currency = held.voucher.currency
    line = between(view, told.peer).get(currency, NetLine(currency, 0, 0))
    open_micro = line.owed_micro if told.role is Role.PROVIDER else line.owing_micro
    covered_micro = -view.balance(covered(told.request_id), currency).posted_micro
    unpaid_micro = min(open_micro, sum(told.amounts_micro) - covered_micro)
    if held.remaining_micro <= 0:
        raise AccountingRefused("Nothing is left of this voucher.", code="spent")
    if unpaid_micro <= 0:
        raise AccountingRefused("This trade is paid already.", code="paid")
    return min(held.remaining_micro, unpaid_micro)


def _settlement_hash(told: Trade) -> bytes:
    """Our own newest Close or Closed."""
    own = [stored.hash for stored, message in told.entries if stored.own and isinstance(message, Close | Closed)]
    return own[-1]
