"""What `view` asks the database, and the rows that answer."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import BindParameter, bindparam, cast, func, select

from ledger.store import schema
from ledger.store.statements import Prepared


class EntryRow(NamedTuple):
    """What is read of a row of `schema.entry`."""

    position: int
    node: bytes
    payload: bytes
    signature: bytes
    request_id: bytes | None
    salt: bytes | None
    body: bytes | None


class MessageRow(NamedTuple):
    """What is read of a row of `schema.message`."""

    position: int
    kind: int
    signer: bytes
    payload: bytes
    signature: bytes
    request_id: bytes


_E, _M, _O, _L, _P = schema.entry.c, schema.message.c, schema.outbox.c, schema.lock.c, schema.posting.c
_LIMIT: Final[BindParameter[int]] = bindparam("limit")
_ENTRIES: Final = select(*(_E[name] for name in EntryRow._fields))
_APART: Final = _ENTRIES.where(  # `request_id IS NULL` is what the index over these few entries says too
    _E.type == bindparam("type"), _E.node == bindparam("node"), _E.request_id.is_(None)
)
_MESSAGES: Final = select(*(_M[name] for name in MessageRow._fields))
_WAITING: Final = select(_O.peer, *_ENTRIES.selected_columns).join(schema.entry, _E.hash == _O.entry_hash)
_SUMS: Final = select(
    _P.account,
    _P.currency,
    _P.state,
    cast(func.sum(_P.amount_micro), schema.INT64),  # PostgreSQL sums to a decimal
).group_by(_P.account, _P.currency, _P.state)

ENTRY: Final = Prepared(_ENTRIES.where(_E.hash == bindparam("hash")))
ENTRY_AT: Final = Prepared(
    _ENTRIES.where(_E.node == bindparam("node"), _E.epoch == bindparam("epoch"), _E.seq == bindparam("seq"))
)
TRADE: Final = Prepared(
    _ENTRIES.where(_E.request_id == bindparam("request_id"), _E.position < bindparam("before"))
    .order_by(_E.position)
    .limit(_LIMIT)
)
APART: Final = Prepared(_APART.where(_E.position > bindparam("after")).order_by(_E.position).limit(_LIMIT))
NUMBER_APART: Final = Prepared(
    select(func.count())
    .select_from(schema.entry)
    .where(_E.type == bindparam("type"), _E.node == bindparam("node"), _E.request_id.is_(None))
)
NUMBER_OF_TYPE: Final = Prepared(
    select(func.count()).select_from(schema.entry).where(_E.type == bindparam("type"), _E.request_id.is_(None))
)
TRADED: Final = Prepared(select(_E.position).where(_E.node == bindparam("node"), _E.request_id.is_not(None)).limit(1))
LAST_APART: Final = Prepared(_APART.order_by(_E.position.desc()).limit(_LIMIT))
NEWEST_APART: Final = Prepared(_APART.where(_E.epoch == bindparam("epoch")).order_by(_E.seq.desc()).limit(_LIMIT))
PAYLOADS: Final = Prepared(
    select(_E.seq, _E.payload)
    .where(_E.node == bindparam("node"), _E.epoch == bindparam("epoch"))
    .where(_E.seq >= bindparam("first"), _E.seq < bindparam("end"))
    .order_by(_E.seq)
)
PAGE: Final = Prepared(_ENTRIES.where(_E.position > bindparam("after")).order_by(_E.position).limit(_LIMIT))
_OF_EPOCH: Final = (_E.node == bindparam("node")) & (_E.epoch == bindparam("epoch"))
HEAD: Final = Prepared(_ENTRIES.where(_OF_EPOCH).order_by(_E.seq.desc()).limit(1))
EPOCH: Final = Prepared(select(_E.seq).where(_OF_EPOCH).limit(1))
NEWEST: Final = Prepared(
    select(_E.epoch, func.max(_E.seq))
    .where(_E.node == bindparam("node"))
    .group_by(_E.epoch)
    .order_by(func.min(_E.position).desc())
    .limit(1)
)
MESSAGE: Final = Prepared(_MESSAGES.where(_M.hash == bindparam("hash")))
SAID: Final = Prepared(_MESSAGES.where(_M.request_id == bindparam("request_id")).order_by(_M.position).limit(_LIMIT))
SAID_AS: Final = Prepared(_MESSAGES.where(_M.kind == bindparam("kind")).order_by(_M.position).limit(_LIMIT))
SAID_PAGE: Final = Prepared(_MESSAGES.where(_M.position > bindparam("after")).order_by(_M.position).limit(_LIMIT))
OUTBOX: Final = Prepared(_WAITING.order_by(_O.id).limit(_LIMIT))
OUTBOX_OF: Final = Prepared(_WAITING.where(_O.peer == bindparam("peer")).order_by(_O.id).limit(_LIMIT))
LOCKS: Final = Prepared(
    select(_L.request_id, _L.resource, _L.quantity, _L.from_ms, _L.until_ms)
    .order_by(_L.from_ms, _L.request_id)
    .limit(_LIMIT)
)
DOCUMENT: Final = Prepared(select(schema.document.c.value).where(schema.document.c.name == bindparam("name")))
BALANCES: Final = Prepared(_SUMS.limit(_LIMIT))
BALANCES_LIKE: Final = Prepared(_SUMS.where(_P.account.like(bindparam("pattern"))).limit(_LIMIT))
BALANCES_OF: Final = Prepared(_SUMS.where(_P.account == bindparam("account")).limit(_LIMIT))
MOVEMENTS: Final = Prepared(
    select(_P.position, _P.currency, _P.state, _P.amount_micro, *_ENTRIES.selected_columns)
    .join(schema.entry, _E.hash == _P.entry_hash)
    .where(_P.account == bindparam("account"), _P.position > bindparam("after"))
    .order_by(_P.position)
    .limit(_LIMIT)
)
