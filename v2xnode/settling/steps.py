"""The owner's steps in accounting by name, with plain values: what a door calls, in a running node or beside one."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ledger.entry import HASH_BYTES, NODE_BYTES, REQUEST_ID_BYTES, SignedEntry
from ledger.transaction import Transaction
from market.terms import Means
from market.units import MAX_AMOUNT_MICRO, MAX_ENERGY_WH
from v2xnode.errors import UsageError
from v2xnode.settling import disputes, nets, paying

Params: TypeAlias = Mapping[str, Any]
Step: TypeAlias = Callable[[Transaction, Params, int], dict[str, Any]]
"""(transaction, parameters, now in seconds UTC) -> what was done, as JSON. Raises NodeError; then nothing was."""


def _pay(transaction: Transaction, params: Params, now_s: int) -> dict[str, Any]:
    return _signed(paying.pay(transaction, *_payment(params), now_s))


def _received(transaction: Transaction, params: Params, now_s: int) -> dict[str, Any]:
    return _signed(paying.receive(transaction, *_payment(params), now_s))


def _confirm(transaction: Transaction, params: Params, now_s: int) -> dict[str, Any]:
    return _signed(paying.confirm(transaction, _octets(params, "payment", HASH_BYTES), now_s))


def _net(transaction: Transaction, params: Params, now_s: int) -> dict[str, Any]:
    """Propose, or sign what the peer has proposed (`net`, its hash)."""
    if params.get("net"):
        return _signed(nets.agree(transaction, _octets(params, "net", HASH_BYTES), now_s))
    return _signed(nets.propose(transaction, _octets(params, "peer", NODE_BYTES), now_s))


def _resolve(transaction: Transaction, params: Params, now_s: int) -> dict[str, Any]:
    """Propose `energy_wh`, or without it sign what the peer has proposed."""
    trade = _octets(params, "trade", REQUEST_ID_BYTES)
    if params.get("energy_wh") is None:
        return _signed(disputes.agree(transaction, trade, now_s))
    energy_wh = _whole(params, "energy_wh", 0, MAX_ENERGY_WH)
    return _signed(disputes.resolve(transaction, trade, energy_wh, now_s))


STEPS: Mapping[str, Step] = {
    "pay": _pay,
    "received": _received,
    "confirm": _confirm,
    "net": _net,
    "resolve": _resolve,
}


def _payment(params: Params) -> tuple[bytes, int, str, Means, str]:
    return (
        _octets(params, "peer", NODE_BYTES),
        _whole(params, "amount_micro", 1, MAX_AMOUNT_MICRO),
        _text(params, "currency", "EUR"),
        _means(params),
        _text(params, "reference", ""),
    )


def _signed(entry: SignedEntry) -> dict[str, Any]:
    return {"signed": entry.entry.type.name.lower(), "hash": entry.hash.hex(), "seq": entry.entry.seq}


def _octets(params: Params, name: str, size: int) -> bytes:
    try:
        value = bytes.fromhex(_text(params, name, ""))
    except ValueError:
        value = b""
    if len(value) != size:
        raise UsageError(f"{name} is {2 * size} hexadecimal digits.", code="malformed")
    return value


def _whole(params: Params, name: str, low: int, high: int) -> int:
    value = params.get(name)
    if type(value) is not int or not low <= value <= high:
        raise UsageError(f"{name} is a whole number from {low} to {high}.", code="malformed")
    return value


def _text(params: Params, name: str, default: str) -> str:
    value = params.get(name, default)
    if not isinstance(value, str):
        raise UsageError(f"{name} is text.", code="malformed")
    return value


def _means(params: Params) -> Means:
    name = _text(params, "means", "OTHER").upper()
    outside = {each.name for each in Means} - {Means.VOUCHER.name}
    if name not in outside:
        raise UsageError(f"means is one of {', '.join(sorted(outside)).lower()}.", code="malformed")
    return Means[name]
