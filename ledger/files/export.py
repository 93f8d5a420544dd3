"""A whole ledger as text, from which a stranger can compute everything again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from ledger.signing import AAD_ENTRY
from ledger.store.reader import LedgerReader
from ledger.store.view import StoredEntry, StoredMessage

FORM: Final = "v2x-ledger/1"
PAGE_ROWS: Final = 500
"""Rows read at a time: half a megabyte."""


def export_jsonl(reader: LedgerReader, request_id: bytes | None = None) -> Iterator[str]:
    """The whole ledger, or one trade of it: a JSON object a line, without the line's end; bytes are in hex. First

    `{"kind": "ledger", "form": "v2x-ledger/1", "node": ...}`, then every kept message in the order of arrival

    `{"kind": "message", "position", "hash", "message": "REQUEST" | "OFFER" | "COUNTER" | "VOUCHER", "signer",
    "request_id" (of a voucher its serial), "payload", "external_aad", "cose_sign1"}`, then every entry, own and
    peers', in the order of arrival

    `{"kind": "entry", "position", "hash", "version", "node", "epoch", "seq", "prev", "type", "answers",
    "body_commitment", "request_id" (null for what belongs to no trade), "salt", "body", "external_aad",
    "cose_sign1"}`.

    `cose_sign1` is the array of RFC 9052, 4.2, with payload and signature; `hash` is SHA-256 of that payload;
    `body_commitment` is SHA-256(salt || body), both empty where they were dropped. Postings follow from the bodies and
    are left out. Raises Corrupt or StoreFailed for a database that can't be read; run `audit.verify` first.
    """
    yield _line({"kind": "ledger", "form": FORM, "node": reader.node.hex()})
    yield from (_line(_message(stored)) for stored in _messages(reader, request_id))
    yield from (_line(_entry(stored)) for stored in _entries(reader, request_id))


def _messages(reader: LedgerReader, request_id: bytes | None) -> Iterator[StoredMessage]:
    if request_id is not None:
        yield from reader.messages(request_id)
        return
    after = 0
    while page := reader.message_page(after=after, limit=PAGE_ROWS):
        yield from page
        after = page[-1].position


def _entries(reader: LedgerReader, request_id: bytes | None) -> Iterator[StoredEntry]:
    if request_id is not None:
        yield from reader.entries(request_id)
        return
    after = 0
    while page := reader.page(after=after, limit=PAGE_ROWS):
        yield from page
        after = page[-1].position


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, separators=(",", ":"))


def _message(stored: StoredMessage) -> dict[str, Any]:
    message = stored.message
    return {
        "kind": "message",
        "position": stored.position,
        "hash": message.hash.hex(),
        "message": message.kind.name,
        "signer": message.signer.hex(),
        "request_id": stored.request_id.hex(),
        "payload": message.payload.hex(),
        "external_aad": message.kind.aad.hex(),
        "cose_sign1": message.cose.hex(),
    }


def _entry(stored: StoredEntry) -> dict[str, Any]:
    entry, signed = stored.entry, stored.signed
    return {
        "kind": "entry",
        "position": stored.position,
        "hash": entry.hash.hex(),
        "version": entry.version,
        "node": entry.node.hex(),
        "epoch": entry.epoch.hex(),
        "seq": entry.seq,
        "prev": entry.prev.hex(),
        "type": entry.type.name,
        "answers": entry.answers.hex(),
        "body_commitment": entry.body_commitment.hex(),
        "request_id": None if signed.request_id is None else signed.request_id.hex(),
        "salt": signed.salt.hex(),
        "body": signed.body.hex(),
        "external_aad": AAD_ENTRY.hex(),
        "cose_sign1": signed.cose.hex(),
    }
