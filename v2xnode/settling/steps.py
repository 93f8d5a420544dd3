"""The owner's steps in accounting by name, with plain values: what a door calls, in a running node or beside one."""

from collections.abc import Mapping
from typing import Any

from ledger.entry import HASH_BYTES, NODE_BYTES, REQUEST_ID_BYTES
from ledger.store.transaction import Transaction
from market.terms import Means
from market.units import MAX_AMOUNT_MICRO, MAX_ENERGY_WH
from v2xnode.errors import UsageError
from v2xnode.settling import disputes, nets, paying, pruning
from v2xnode.settling.params import Params, Step, octets, text, whole
from v2xnode.settling.signing import signed_json
from v2xnode.settling.voucher_steps import VOUCHER_STEPS


def _pay(transaction: Transaction, params: Params, now_s: int) -> dict[str, Any]:
    return signed_json(paying.pay(transaction, *_payment(params), now_s))


def _received(transaction: Transaction, params: Params, now_s: int) -> dict[str, Any]:
    return signed_json(paying.receive(transaction, *_payment(params), now_s))


def _confirm(transaction: Transaction, params: Params, now_s: int) -> dict[str, Any]:
    return signed_json(paying.confirm(transaction, octets(params, "payment", HASH_BYTES), now_s))


def _net(transaction: Transaction, params: Params, now_s: int) -> dict[str, Any]:
    """Propose, or sign what the peer has proposed (`net`, its hash)."""
    if params.get("net"):
        return signed_json(nets.agree(transaction, octets(params, "net", HASH_BYTES), now_s))
    return signed_json(nets.propose(transaction, octets(params, "peer", NODE_BYTES), now_s))


def _resolve(transaction: Transaction, params: Params, now_s: int) -> dict[str, Any]:
    """Propose `energy_wh`, or without it sign what the peer has proposed."""
    trade = octets(params, "trade", REQUEST_ID_BYTES)
    if params.get("energy_wh") is None:
        return signed_json(disputes.agree(transaction, trade, now_s))
    energy_wh = whole(params, "energy_wh", 0, MAX_ENERGY_WH)
    return signed_json(disputes.resolve(transaction, trade, energy_wh, now_s))


def _prune(transaction: Transaction, params: Params, now_s: int) -> dict[str, Any]:
    """Before the Net of this hash (`net`), or before the newest with a peer (`peer`)."""
    if params.get("net"):
        return {"pruned": len(pruning.prune(transaction, octets(params, "net", HASH_BYTES)))}
    return {"pruned": len(pruning.prune_before_newest(transaction, octets(params, "peer", NODE_BYTES)))}


STEPS: Mapping[str, Step] = {
    "pay": _pay,
    "received": _received,
    "confirm": _confirm,
    "net": _net,
    "resolve": _resolve,
    "prune": _prune,
    **VOUCHER_STEPS,
}


def _payment(params: Params) -> tuple[bytes, int, str, Means, str]:
    return (
        octets(params, "peer", NODE_BYTES),
        whole(params, "amount_micro", 1, MAX_AMOUNT_MICRO),
        text(params, "currency", "EUR"),
        _means(params),
        text(params, "reference", ""),
    )


def _means(params: Params) -> Means:
    name = text(params, "means", "OTHER").upper()
    outside = {each.name for each in Means} - {Means.VOUCHER.name}
    if name not in outside:
        raise UsageError(f"means is one of {', '.join(sorted(outside)).lower()}.", code="malformed")
    return Means[name]
