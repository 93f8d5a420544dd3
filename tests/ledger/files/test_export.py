"""What a stranger gets: enough to compute everything again without this package's store."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from nacl.signing import VerifyKey

from ledger import cbor
from ledger.files.export import FORM, export_jsonl
from ledger.store.reader import LedgerReader
from tests.ledger.world import CLIENT, open_ledger, trade


def exported(path: Path) -> list[dict[str, Any]]:
    with open_ledger(path) as ledger:
        trade(ledger)
    with LedgerReader.open(path) as reader:
        lines = list(export_jsonl(reader))
    with LedgerReader.open(path) as again:
        assert list(export_jsonl(again)) == lines
    assert not any("\n" in line for line in lines)
    return [json.loads(line) for line in lines]


def test_the_order_is_ledger_messages_entries(path: Path) -> None:
    records = exported(path)
    assert records[0] == {"kind": "ledger", "form": FORM, "node": CLIENT.public.hex()}
    kinds = [record["kind"] for record in records[1:]]
    assert kinds == sorted(kinds, key=["message", "entry"].index)
    entries = [record for record in records if record["kind"] == "entry"]
    assert [record["position"] for record in entries] == list(range(1, len(entries) + 1))


def test_a_stranger_can_compute_every_record_again(path: Path) -> None:
    for record in exported(path)[1:]:
        raw = {name: bytes.fromhex(value) for name, value in record.items() if is_hex(value)}
        cose: Any = cbor.decode(raw["cose_sign1"], max_bytes=4096)
        protected, unprotected, payload, signature = cose
        assert unprotected == {}
        signed = cbor.encode(["Signature1", protected, raw["external_aad"], payload], max_bytes=4096)
        VerifyKey(raw.get("node", raw.get("signer", b""))).verify(signed, signature)
        assert hashlib.sha256(payload).digest() == raw["hash"]
        if record["kind"] == "entry":
            assert hashlib.sha256(raw["salt"] + raw["body"]).digest() == raw["body_commitment"]
            fields = cbor.decode(payload)
            assert isinstance(fields, list)
            assert fields[:5] == [record["version"], raw["node"], raw["epoch"], record["seq"], raw["prev"]]
            assert fields[6:] == [raw["answers"], raw["body_commitment"]]
        else:
            assert payload == raw["payload"]


def is_hex(value: object) -> bool:
    return isinstance(value, str) and set(value) <= set("0123456789abcdef")
