"""Does with a vector of tests/vectors/ledger what its `checked_by` says, and gives the code of the refusal."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ledger.audit.against import check_against
from ledger.audit.rows import Fault
from ledger.audit.verify import verify
from ledger.entry import Entry, SignedEntry
from ledger.errors import LedgerError
from ledger.proofs.note import Note
from ledger.store.ledger import Ledger
from ledger.store.reader import LedgerReader
from ledger.witnessing.witness import show
from tests.spec.ledger_books import Rows, changed, written
from tests.spec.trade import AT_S, CLIENT
from v2xnode.cli.verifying import verify_file
from v2xnode.errors import NodeError
from v2xnode.settling.money import posting_rule

Json = dict[str, Any]
Where = dict[str, Any] | None

CHECKED_BY: Mapping[str, str] = {
    "verify": "the whole ledger, as `v2xnode ledger verify` does, and against the checkpoint where one is given",
    "store": "the ledger of the client is shown this entry",
    "witness": "the client, who remembers what its ledger says, is shown this checkpoint of the provider",
    "file": "the file, as `v2xnode ledger verify FILE` does",
}


def outcome(vector: Json, sound: Rows, directory: Path) -> tuple[str, Where]:
    """(code of the refusal, "" for none; table and row of the fault, where there is one)."""
    rows = changed(sound, vector.get("changes", []))
    return _CHECKS[vector["checked_by"]](vector, rows, directory)


def _verify(vector: Json, rows: Rows, directory: Path) -> tuple[str, Where]:
    with LedgerReader.open(written(directory / "ledger.store.sqlite", rows)) as reader:
        fault = verify(reader, posting_rule).fault
        if fault is None and "checkpoint" in vector:
            return _refusal(lambda: _told(check_against(reader, Note.parse(vector["checkpoint"].encode()))))
    return _told(fault)


def _told(fault: Fault | None) -> tuple[str, Where]:
    return ("", None) if fault is None else (fault.code, {"table": fault.table, "row": fault.position})


def _store(vector: Json, rows: Rows, directory: Path) -> tuple[str, Where]:
    def receive() -> tuple[str, Where]:
        signed = _entry(vector["entry"])
        with _client(rows, directory) as ledger:
            ledger.transact(lambda tx: tx.receive(signed))
        return "", None

    return _refusal(receive)


def _witness(vector: Json, rows: Rows, directory: Path) -> tuple[str, Where]:
    def cosign() -> tuple[str, Where]:
        note, proof = Note.parse(vector["note"].encode()), [bytes.fromhex(each) for each in vector["proof"]]
        with _client(rows, directory) as ledger:
            answer = ledger.transact(lambda tx: show(tx, note, vector["old_size"], proof, AT_S))
        return "remembered" if isinstance(answer, Note) else "", None

    return _refusal(cosign)


def _file(vector: Json, rows: Rows, directory: Path) -> tuple[str, Where]:
    path = directory / "file.json"
    path.write_text(json.dumps(vector["file"]))

    def check() -> tuple[str, Where]:
        verify_file(path)
        return "", None

    return _refusal(check)


_CHECKS: Mapping[str, Callable[[Json, Rows, Path], tuple[str, Where]]] = {
    "verify": _verify,
    "store": _store,
    "witness": _witness,
    "file": _file,
}


def _client(rows: Rows, directory: Path) -> Ledger:
    return Ledger.open(written(directory / "ledger.store.sqlite", rows), CLIENT.signer, posting_rule=posting_rule)


def _entry(value: Json) -> SignedEntry:
    fields = {name: None if text is None else bytes.fromhex(text) for name, text in value.items()}
    payload, signature, salt, body, request_id = fields.values()
    assert payload is not None and signature is not None and salt is not None and body is not None  # noqa: PT018
    return SignedEntry(Entry.parse(payload), signature, salt, body, request_id)


def _refusal(work: Callable[[], tuple[str, Where]]) -> tuple[str, Where]:
    try:
        return work()
    except (LedgerError, NodeError) as problem:
        return problem.code, None
