"""What a receipt that holds shows, in a sentence and as JSON."""

from datetime import UTC, datetime
from typing import Any

from market.units import MICRO
from v2xnode.export.paper import Paper
from v2xnode.export.receipt import Verdict


def receipt_sentence(verdict: Verdict) -> str:
    """For people: the trade, and how far the receipt proves that its entries stand in a chain."""
    told, checked = verdict.dossier, verdict.checked
    what = (
        f"The receipt holds: {told.request.service.name}, {told.agreed_wh} Wh from {told.provider.hex()} to "
        f"{told.client.hex()} for {amount(told.total_micro)} {told.offer.currency}, {told.state} "
        f"{utc(told.settled_at_s)}."
    )
    parked = f" {told.parked_wh} Wh are disputed." if told.parked_wh else ""
    if checked.checkpoint is None:
        proof = " It carries no checkpoint: that its entries stand in a chain rests on whoever made it."
    else:
        whom = ", ".join(each.node.hex()[:12] for each in checked.cosigners) or "nobody"
        proof = (
            f" Its entries stand in the chain of {verdict.receipt.node.hex()[:12]}, up to {checked.checkpoint.size} "
        )
        proof += f"entries, cosigned by {whom}."
    revoked = (
        " A key of it was revoked later: that it was signed before, others have to know." if checked.revoked else ""
    )
    return what + parked + proof + revoked


def receipt_json(verdict: Verdict) -> dict[str, Any]:
    """For programs; amounts in millionths."""
    told, checked = verdict.dossier, verdict.checked
    return {
        "node": verdict.receipt.node.hex(),
        "request_id": verdict.receipt.request_id.hex(),
        "provider": told.provider.hex(),
        "client": told.client.hex(),
        "service": told.request.service.name,
        "state": told.state,
        "started_at_ms": told.started_at_ms,
        "ended_at_ms": told.ended_at_ms,
        "settled_at_s": told.settled_at_s,
        "delivered_wh": {"provider": told.provider_wh, "client": told.client_wh, "agreed": told.agreed_wh},
        "parked_wh": told.parked_wh,
        "currency": told.offer.currency,
        "amounts_micro": list(told.amounts_micro),
        "total_micro": told.total_micro,
        "checkpoint_size": checked.checkpoint.size if checked.checkpoint else None,
        "cosigners": [{"node": each.node.hex(), "at_s": each.at_s} for each in checked.cosigners],
        "revoked": checked.revoked,
    }


def paper_sentence(paper: Paper) -> str:
    """For people: what the code of a printed receipt proves, and what not."""
    return (
        f"The code holds: {paper.provider.hex()} and {paper.client.hex()} have both signed {paper.agreed_wh} Wh for "
        f"{amount(paper.total_micro)} {paper.currency}, of the request {paper.request_id.hex()}. Compare these with "
        "the paper. Whether they have agreed on something else afterwards, the code can't tell."
    )


def paper_json(paper: Paper) -> dict[str, Any]:
    """For programs; amounts in millionths."""
    return {
        "request_id": paper.request_id.hex(),
        "provider": paper.provider.hex(),
        "client": paper.client.hex(),
        "currency": paper.currency,
        "agreed_wh": paper.agreed_wh,
        "amounts_micro": list(paper.amounts_micro),
        "total_micro": paper.total_micro,
    }


def amount(amount_micro: int) -> str:
    """Of the main unit, all six digits."""
    return f"{amount_micro // MICRO}.{amount_micro % MICRO:06d}"


def utc(at_s: int) -> str:
    """As people write it."""
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
