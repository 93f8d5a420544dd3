"""Our own entries about money after the trades: appended and put into the outbox in one commit, or refused."""

from typing import Any

from ledger.entry import SignedEntry
from ledger.errors import Full
from ledger.store.transaction import Transaction
from market.machine import stamped
from market.terms import Net, Pay, Resolve
from market.units import MS_PER_SECOND
from v2xnode.envelope import body_of
from v2xnode.errors import UsageError


class AccountingRefused(UsageError):
    """What was asked does not fit our books. Nothing has changed; `details` names the figures."""

    code = "accounting"


def append(
    transaction: Transaction,
    message: Net | Pay | Resolve,
    answers: bytes,
    now_s: int,
    *,
    request_id: bytes | None = None,
) -> SignedEntry:
    """Sign an entry, and keep it in the outbox until its peer has it. Raises what `Transaction.append` does."""
    kind, body = body_of(stamped(message, now_s * MS_PER_SECOND))
    signed = transaction.append(kind, body, answers=answers, request_id=request_id)
    try:
        transaction.outbox_add(message.peer, signed)
    except Full:  # of what peers left unanswered: those that went away must not keep this node from writing
        transaction.outbox_done(transaction.outbox()[0].signed.hash)
        transaction.outbox_add(message.peer, signed)
    return signed


def signed_json(entry: SignedEntry) -> dict[str, Any]:
    """What was signed, for programs."""
    return {"signed": entry.entry.type.name.lower(), "hash": entry.hash.hex(), "seq": entry.entry.seq}


def short_amount(amount_micro: int, currency: str) -> str:
    """For people."""
    sign = "-" if amount_micro < 0 else ""
    whole, parts = divmod(abs(amount_micro), 1_000_000)
    return f"{sign}{whole}.{parts:06d} {currency}"
