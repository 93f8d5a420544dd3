"""The owner's steps with vouchers and lists of issuers by name, with plain values. See `steps`."""

from collections.abc import Mapping
from typing import Any

from ledger.entry import HASH_BYTES, NODE_BYTES, REQUEST_ID_BYTES
from ledger.store.transaction import Transaction
from market.errors import TermsInvalid
from market.units import MAX_AMOUNT_MICRO, MAX_AT_MS, MS_PER_SECOND
from market.voucher import SERIAL, Voucher
from v2xnode.errors import UsageError
from v2xnode.settling import drawing, issuers, redeeming, vouchers
from v2xnode.settling.accounting import answer_open
from v2xnode.settling.params import Params, Step, octets, text, whole
from v2xnode.settling.signing import signed_json


def _issue(transaction: Transaction, params: Params, now_s: int) -> dict[str, Any]:
    """The voucher as the text of a file."""
    provider = text(params, "provider", "")
    try:
        said = Voucher(
            serial=octets(params, "serial", SERIAL.size),
            issuer=transaction.node,
            holder=octets(params, "holder", NODE_BYTES),
            provider=(octets(params, "provider", NODE_BYTES),) if provider else (),
            amount_micro=whole(params, "amount_micro", 1, MAX_AMOUNT_MICRO),
            currency=text(params, "currency", "EUR"),
            not_before_s=now_s,
            until_s=whole(params, "until_s", 1, MAX_AT_MS // MS_PER_SECOND),
        )
    except TermsInvalid as problem:
        raise UsageError(f"This voucher makes no sense: {problem}.", code="malformed") from None
    message = vouchers.issue(transaction, transaction.signer, said)
    return {"voucher": vouchers.held_of(transaction, message).as_json(), "file": vouchers.to_file(message).decode()}


def _add(transaction: Transaction, params: Params, now_s: int) -> dict[str, Any]:
    message = vouchers.from_file(text(params, "file", "").encode())
    held = vouchers.add(transaction, message, now_s)
    answer_open(transaction, held.voucher.holder, now_s)
    return {"voucher": held.as_json()}


def _draw(transaction: Transaction, params: Params, now_s: int) -> dict[str, Any]:
    trade = octets(params, "trade", REQUEST_ID_BYTES)
    return signed_json(drawing.draw(transaction, trade, octets(params, "voucher", HASH_BYTES), now_s))


def _redeem(transaction: Transaction, params: Params, now_s: int) -> dict[str, Any]:
    paid = redeeming.redeem(transaction, text(params, "file", "").encode(), now_s)
    return {"redeemed": [signed_json(each) for each in paid]}


def _add_issuers(transaction: Transaction, params: Params, now_s: int) -> dict[str, Any]:
    publisher = octets(params, "publisher", NODE_BYTES) if text(params, "publisher", "") else b""
    message = issuers.from_file(text(params, "file", "").encode())
    return issuers.as_json(issuers.add(transaction, message, publisher=publisher))


VOUCHER_STEPS: Mapping[str, Step] = {
    "voucher_issue": _issue,
    "voucher_add": _add,
    "voucher_draw": _draw,
    "voucher_redeem": _redeem,
    "issuers_add": _add_issuers,
}
