"""What we and a peer hold of each other's chains: found when we meet, so that a ledger that lost its end gets it back.

A peer keeps our entries of the trades that we had with it. After a restored backup, or on a card that forgot its
last writes, those are the only copies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from sqlalchemy import bindparam, func, select

from ledger.entry import EntryType
from ledger.store import schema
from ledger.store.statements import Prepared
from ledger.store.view import MAX_ROWS, StoredEntry, StoredMessage, View

MAX_TRADES_SHOWN: Final = 1_000
"""With one peer, the newest: more than a ledger can lose between two backups."""
_STRIDE: Final = 2 * MAX_ROWS + 1
"""Numbers for the KEY entries, and for each trade: its messages and its entries, each bounded by the view."""

_E: Final = schema.entry.c
_AFTER: Final = schema.entry.alias("after")
_OF_NODE: Final = _E.node == bindparam("node")
_EPOCHS: Final = Prepared(select(_E.epoch).where(_OF_NODE).group_by(_E.epoch).order_by(func.min(_E.position)))
_ENDS: Final = Prepared(  # entries behind which one is missing
    select(func.min(_E.seq))
    .select_from(
        schema.entry.outerjoin(
            _AFTER,
            (_AFTER.c.node == _E.node) & (_AFTER.c.epoch == _E.epoch) & (_AFTER.c.seq == _E.seq + 1),
        )
    )
    .where(_OF_NODE, _E.epoch == bindparam("epoch"), _AFTER.c.seq.is_(None))
)
_TRADES: Final = Prepared(
    select(_E.request_id)
    .where(_OF_NODE, _E.epoch == bindparam("epoch"), _E.seq >= bindparam("seq"), _E.request_id.is_not(None))
    .group_by(_E.request_id)
    .order_by(func.min(_E.position))
)

_APART: Final = (EntryType.NET, EntryType.PAY, EntryType.CHECKPOINT, EntryType.WITNESS)
"""What a peer may hold of a chain beside trades and keys."""
_PAIRED: Final = (EntryType.NET, EntryType.PAY)
"""Those that the two sides answer each other: the posting rule lets nobody else answer them."""

Held: TypeAlias = StoredMessage | StoredEntry


@dataclass(frozen=True, slots=True)
class Claim:
    """A place of a chain as a greeting names it: how the epoch begins, and the sequence number in it."""

    epoch_begins: bytes
    seq: int


def misses(view: View, claimed: Claim) -> Claim | None:
    """From where on our own chain lacks what a peer says it holds; None where we hold the entry at that place.

    The peer may be lying: nothing follows from this but a question.
    """
    ours = [epoch for epoch in _epochs(view, view.node) if epoch.startswith(claimed.epoch_begins)]
    if any(view.hash_at(view.node, epoch, claimed.seq) for epoch in ours):
        return None
    if ours:
        return Claim(claimed.epoch_begins, min(_first_gap(view, epoch) for epoch in ours))
    live = view.keys_of(view.node).live  # an epoch that we have forgotten began behind what we hold of this one
    return Claim(live[: len(claimed.epoch_begins)], _first_gap(view, live))


def own_keys(view: View, *, after: int) -> Iterator[tuple[int, Held]]:
    """The KEY entries of our own chain, numbered from 1, behind the number `after`."""
    numbered = enumerate(view.apart(EntryType.KEY, view.node), start=1)
    return ((number, each) for number, each in numbered if number > after)


def shown_to(view: View, node: bytes, lost: Claim, *, after: int) -> Iterator[tuple[int, Held]]:
    """What we hold of what `node` signed from the place `lost` on: its KEY entries first, then of each trade the
    messages and the entries, both parties', then what it signed in no trade, with what we signed in answer or what it
    answers; each part in the order of arrival.

    Each comes with its number, which rises; only those behind the number `after`, 0 for all. A trade is not read
    before its turn.
    """
    trades = _trades_from(view, node, lost)[-MAX_TRADES_SHOWN:]
    for place in range(after // _STRIDE, len(trades) + 2):
        if place == 0:
            rows: Sequence[Held] = view.apart(EntryType.KEY, node)
        elif place <= len(trades):
            rows = _kept_of(view, trades[place - 1])
        else:
            rows = _apart(view, node, lost)
        numbered = enumerate(rows, start=place * _STRIDE + 1)
        yield from ((number, each) for number, each in numbered if number > after)


def _kept_of(view: View, request_id: bytes) -> list[Held]:
    """Of a trade; nothing of one whose bodies were dropped, since nobody could check it."""
    entries = view.entries(request_id)
    if any(each.pruned for each in entries):
        return []
    return [*view.messages(request_id), *entries]


def _apart(view: View, node: bytes, lost: Claim) -> list[StoredEntry]:
    """What `node` signed behind that place apart from trades, and ours that it answers or that answer it."""
    epochs = _epochs_from(view, node, lost)
    theirs = [
        each
        for kind in _APART
        for each in view.apart(kind, node)
        if each.entry.epoch in epochs and (each.entry.seq >= lost.seq or not _is_named(each.entry.epoch, lost))
    ]
    paired = [each for each in theirs if each.type in _PAIRED]
    hashes, answered = {each.hash for each in paired}, {each.entry.answers for each in paired}
    ours = [
        each
        for kind in (_PAIRED if paired else ())
        for each in view.apart(kind, view.node)
        if each.entry.answers in hashes or each.hash in answered
    ]
    return sorted((*theirs, *ours), key=lambda each: each.position)


def _epochs(view: View, node: bytes) -> list[bytes]:
    """Those of `node` of which any entry is held, in the order of arrival."""
    return [epoch for (epoch,) in view.rows(_EPOCHS, node=node)]


def _first_gap(view: View, epoch: bytes) -> int:
    """The lowest place of an epoch of ours that is not held."""
    if view.hash_at(view.node, epoch, 0) is None:
        return 0
    ((last,),) = view.rows(_ENDS, node=view.node, epoch=epoch)
    return int(last) + 1


def _trades_from(view: View, node: bytes, lost: Claim) -> list[bytes]:
    """Those in which `node` signed at that place or later in its epoch, or in any epoch heard of after it."""
    found: dict[bytes, None] = {}
    for epoch in _epochs_from(view, node, lost):
        seq = lost.seq if _is_named(epoch, lost) else 0
        found.update((request_id, None) for (request_id,) in view.rows(_TRADES, node=node, epoch=epoch, seq=seq))
    return list(found)


def _epochs_from(view: View, node: bytes, lost: Claim) -> list[bytes]:
    """The epoch that is named, if any is, and all that were heard of after it."""
    epochs = _epochs(view, node)
    return epochs[next((at for at, epoch in enumerate(epochs) if _is_named(epoch, lost)), 0) :]


def _is_named(epoch: bytes, lost: Claim) -> bool:
    return epoch.startswith(lost.epoch_begins)
