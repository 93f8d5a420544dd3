"""The newest checkpoint that was seen of each node in each epoch: the table behind `witness`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import bindparam, delete, func, select

from ledger.errors import Full
from ledger.store import schema
from ledger.store.statements import Prepared, insert_into
from ledger.store.transaction import Transaction
from ledger.store.view import View

MAX_WITNESSED: Final = 50_000
"""Rows, 25 MB. A peer has to trade before it is asked for a checkpoint."""

MAX_EPOCHS: Final = 64
"""Of one node. One begins with each restored backup; none is forgotten, or it could be told anew."""


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What `node` showed of `epoch` at `at_ms` (UTC): `note` with its own signature, and the size and root of that."""

    node: bytes
    epoch: bytes
    size: int
    root: bytes
    note: bytes
    at_ms: int


_W = schema.witnessed.c
_NAMES: Final = Witnessed.__slots__
_OF: Final = Prepared(
    select(*(_W[name] for name in _NAMES)).where(_W.node == bindparam("node")).order_by(_W.epoch).limit(MAX_EPOCHS)
)
_COUNT: Final = Prepared(select(func.count()).select_from(schema.witnessed))
_KEEP: Final = insert_into(schema.witnessed)
_DROP: Final = Prepared(delete(schema.witnessed).where(_W.node == bindparam("node"), _W.epoch == bindparam("epoch")))


def witnessed(view: View, node: bytes) -> Sequence[Witnessed]:
    """What is remembered of a node, one an epoch."""
    return [Witnessed(*row) for row in view.rows(_OF, node=node)]


def remembered(view: View, node: bytes, epoch: bytes) -> Witnessed | None:
    """The newest checkpoint seen of a node in an epoch."""
    return next((each for each in witnessed(view, node) if each.epoch == epoch), None)


def remember(transaction: Transaction, seen: Witnessed) -> None:
    """Keep it in place of what was remembered of the same epoch. Raises Full where that is new, and no room left."""
    epochs = {each.epoch for each in witnessed(transaction, seen.node)}
    if seen.epoch not in epochs:
        _demand_room(transaction, len(epochs))
    transaction.write(_DROP, node=seen.node, epoch=seen.epoch)
    transaction.write(_KEEP, **asdict(seen))


def _demand_room(view: View, epochs: int) -> None:
    if epochs >= MAX_EPOCHS:
        raise Full(f"{MAX_EPOCHS} epochs of one node are remembered, and no more")
    row = view.first(_COUNT)
    if row is not None and row[0] >= MAX_WITNESSED:
        raise Full(f"{MAX_WITNESSED} checkpoints of peers are remembered, and no more")
