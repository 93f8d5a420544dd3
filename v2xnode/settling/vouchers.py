"""Vouchers held here: ours to draw on, and those that peers have shown us; what is left of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ledger import cbor
from ledger.errors import LedgerError, Malformed
from ledger.filing import write_file
from ledger.message import MessageKind, SignedMessage, sign_message
from ledger.signing import Signer
from ledger.store.transaction import Transaction
from ledger.store.view import View
from market.errors import TermsInvalid
from market.terms import from_map, to_map
from market.voucher import Voucher, VoucherFault, use_fault, voucher_fault
from v2xnode.settling.issuers import lists, message_fields, message_in
from v2xnode.settling.names import drawn
from v2xnode.settling.signing import AccountingRefused

FORM = "v2x-voucher/1"
MAX_OF_HOLDER = 16
"""Open vouchers that one holder has shown: more than anybody carries, few enough to look at with each request."""


@dataclass(frozen=True, slots=True)
class Held:
    """A voucher as it was signed, and what is left of it by our books."""

    voucher: Voucher
    message: SignedMessage
    remaining_micro: int

    @property
    def digest(self) -> bytes:
        """What draws name it by."""
        return self.message.hash

    def as_json(self) -> dict[str, Any]:
        """Amounts in millionths of the currency."""
        voucher = self.voucher
        return {
            "hash": self.digest.hex(),
            "serial": voucher.serial.hex(),
            "issuer": voucher.issuer.hex(),
            "holder": voucher.holder.hex(),
            "provider": voucher.provider[0].hex() if voucher.provider else None,
            "currency": voucher.currency,
            "amount_micro": voucher.amount_micro,
            "remaining_micro": self.remaining_micro,
            "not_before_s": voucher.not_before_s,
            "until_s": voucher.until_s,
        }


def issue(transaction: Transaction, signer: Signer, voucher: Voucher) -> SignedMessage:
    """Sign a voucher of ours and keep it. Raises AccountingRefused for one that names another issuer (`usage`)."""
    if voucher.issuer != transaction.node:
        raise AccountingRefused("A voucher is issued by its issuer.", code="usage")
    message = sign_message(signer, MessageKind.VOUCHER, cbor.encode(to_map(voucher)))
    _keep(transaction, voucher, message)
    return message


def add(transaction: Transaction, message: SignedMessage, now_s: int, *, shown_by: bytes = b"") -> Held:
    """Keep a voucher: one for us, or one that a peer has shown and that we would take from it. Twice is once.

    shown_by: the peer, where it is not our owner that adds it: it shows its own.

    Raises AccountingRefused with the code of a `VoucherFault`, `full` for a holder with too many open ones, and
    LedgerError for bytes or a signature that do not hold.
    """
    voucher = voucher_of(message)
    if shown_by not in (b"", voucher.holder):
        raise AccountingRefused(VoucherFault.WRONG_HOLDER.sentence, code=VoucherFault.WRONG_HOLDER.value)
    fault = _fault_here(transaction, voucher, message.signer, now_s)
    if fault is not None:
        raise AccountingRefused(fault.sentence, code=fault.value)
    _keep(transaction, voucher, message)
    if voucher.holder != transaction.node:
        _remember(transaction, voucher, message.hash, now_s)
    return held_of(transaction, message)


def voucher_of(message: SignedMessage) -> Voucher:
    """What a signed voucher says. Raises LedgerError for bytes, signature or values that do not hold."""
    message.check()
    try:
        voucher: Voucher = from_map(Voucher, cbor.decode(message.payload))
    except TermsInvalid as problem:
        raise Malformed(str(problem)) from problem
    return voucher


def find(view: View, digest: bytes) -> Held | None:
    """The voucher of that hash."""
    stored = view.message(digest)
    if stored is None or stored.message.kind is not MessageKind.VOUCHER:
        return None
    return held_of(view, stored.message)


def held_of(view: View, message: SignedMessage) -> Held:
    """With what is left of it."""
    voucher = voucher_of(message)
    spent_micro = view.balance(drawn(message.hash), voucher.currency).posted_micro
    return Held(voucher, message, voucher.amount_micro - spent_micro)


def all_vouchers(view: View) -> Iterator[Held]:
    """Every voucher that is kept, oldest first."""
    return (held_of(view, stored.message) for stored in view.messages_of(MessageKind.VOUCHER))


def credit_micro(view: View, holder: bytes, currency: str, now_s: int) -> int:
    """What a peer may owe on the strength of the vouchers that it has shown: what is left of those that we would take
    now."""
    return sum(held.remaining_micro for held in taken_from(view, holder, currency, now_s))


def taken_from(view: View, holder: bytes, currency: str, now_s: int) -> list[Held]:
    """What a peer has shown that we would take from it now, and of which something is left."""
    trusted = lists(view)
    return [
        held
        for held in _shown(view, holder)
        if held.voucher.currency == currency
        and held.remaining_micro > 0
        and voucher_fault(held.voucher, held.message.signer, trusted, holder=holder, provider=view.node, at_s=now_s)
        is None
    ]


def usable_at(view: View, provider: bytes, currency: str, now_s: int) -> list[Held]:
    """Ours that are good at a provider now and of which something is left, the one that ends first before others."""
    good = [
        held
        for held in all_vouchers(view)
        if held.voucher.currency == currency
        and held.remaining_micro > 0
        and use_fault(held.voucher, view.node, provider, now_s) is None
    ]
    return sorted(good, key=lambda held: (held.voucher.until_s, held.digest))


def fault_at_us(view: View, voucher: Voucher, signer: bytes, holder: bytes, at_s: int) -> VoucherFault | None:
    """Why we as the provider would not take it from `holder` for a trade agreed at `at_s`."""
    return voucher_fault(voucher, signer, lists(view), holder=holder, provider=view.node, at_s=at_s)


def to_file(message: SignedMessage) -> bytes:
    """A voucher as a file."""
    return write_file(FORM, message_fields(message))


def from_file(data: bytes) -> SignedMessage:
    """The voucher in a file. Raises LedgerError."""
    return message_in(data, FORM, MessageKind.VOUCHER)


def _fault_here(view: View, voucher: Voucher, signer: bytes, now_s: int) -> VoucherFault | None:
    if voucher.holder != view.node:
        return fault_at_us(view, voucher, signer, voucher.holder, now_s)
    return VoucherFault.EXPIRED if now_s > voucher.until_s else None


def _keep(transaction: Transaction, voucher: Voucher, message: SignedMessage) -> None:
    transaction.keep_message(message.kind, message.signer, message.payload, message.signature, voucher.serial)


def _document(holder: bytes) -> str:
    return f"vouchers:{holder[:16].hex()}"


def _shown(view: View, holder: bytes) -> list[Held]:
    stored = view.get(_document(holder))
    try:
        value = cbor.decode(stored) if stored is not None else []
    except LedgerError:  # a damaged document: the holder shows its vouchers again
        value = []
    digests = value if isinstance(value, list) else []
    found = [find(view, digest) for digest in digests if isinstance(digest, bytes)]
    return [held for held in found if held is not None and held.voucher.holder == holder]


def _remember(transaction: Transaction, voucher: Voucher, digest: bytes, now_s: int) -> None:
    """Among those that its holder has shown; those that are spent or over make room."""
    shown = _shown(transaction, voucher.holder)
    open_ = [held.digest for held in shown if held.remaining_micro > 0 and held.voucher.until_s >= now_s]
    digests = list(dict.fromkeys([*open_, digest]))
    if len(digests) > MAX_OF_HOLDER:
        raise AccountingRefused(f"This peer has shown {MAX_OF_HOLDER} open vouchers already.", code="full")
    transaction.put(_document(voucher.holder), cbor.encode(digests))
