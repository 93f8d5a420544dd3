"""Files that others gave us: each form has its check, which needs no database and no network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger.audit.against import check_against
from ledger.audit.rows import Fault
from ledger.errors import RemoteLedgerError
from ledger.files import receipt, revocation
from ledger.filing import MAX_FILE_BYTES, read_file
from ledger.proofs.note import Note
from ledger.store.view import View
from ledger.witnessing import fork
from v2xnode.errors import LedgerInvalid, UsageError


@dataclass(frozen=True, slots=True)
class FileReport:
    """What a file proves: a sentence for people, and more for programs."""

    sentence: str
    details: dict[str, Any] = field(default_factory=dict)


Check = Callable[[dict[str, Any]], FileReport]
"""The fields of a file -> what it proves. Raises RemoteLedgerError for one that does not hold."""


def check_fork(fields: dict[str, Any]) -> FileReport:
    """A fork proof, by the keys that it shows: the node's genesis key where it shows none."""
    proof, keys = fork.from_fields(fields)
    proof.check(keys)
    return FileReport(f"The proof holds: {proof.sentence}. No honest node does.", fork_json(proof))


def fork_json(proof: fork.ForkProof) -> dict[str, Any]:
    """What a proof says, for programs. `at` is the entries' sequence number, or the checkpoints' size."""
    return {
        "node": proof.node.hex(),
        "epoch": proof.epoch.hex(),
        "kind": proof.kind.name.lower(),
        "at": proof.at,
    }


def check_receipt_file(fields: dict[str, Any]) -> FileReport:
    """A receipt of a settled trade. Raises LedgerInvalid too, where what was truly signed does not add up."""
    from v2xnode.export.receipt import check_receipt
    from v2xnode.export.told import receipt_json, receipt_sentence

    verdict = check_receipt(receipt.Receipt.parse(fields))
    return FileReport(receipt_sentence(verdict), receipt_json(verdict))


CODE_FORM, CODE_PREFIX = "v2x-paper/1", b"V2X1:"
"""The text in the code of a printed receipt."""


def check_revocation(fields: dict[str, Any]) -> FileReport:
    """A node's KEY entries, of which one revokes its keys."""
    _, keys = revocation.from_fields(fields)
    revoked = sorted(public.hex() for public in keys.revoked)
    now = f"{keys.current.hex()[:12]} signs for it now" if keys.current else "nobody signs for it any more"
    shown = ", ".join(public[:12] for public in revoked)
    sentence = f"The revocation holds: {shown} signs no more for node {keys.node.hex()[:12]}; {now}."
    return FileReport(sentence, {"node": keys.node.hex(), "revoked": revoked, "signing": keys.current.hex() or None})


CHECKS: Mapping[str, Check] = {
    fork.FORM: check_fork,
    receipt.FORM: check_receipt_file,
    revocation.FORM: check_revocation,
}
"""By the form that a file names."""


def check_code_file(data: bytes) -> FileReport:
    """What a scanner read from a printed receipt. Raises RemoteLedgerError or LedgerInvalid."""
    from v2xnode.export.paper import read_paper
    from v2xnode.export.told import paper_json, paper_sentence

    paper = read_paper(data.decode("ascii", "replace").strip())
    return FileReport(paper_sentence(paper), paper_json(paper))


def verify_file(path: Path) -> tuple[str, FileReport]:
    """(form, report) of a file that holds. Raises LedgerInvalid with the reason, or UsageError."""
    try:
        data = _bytes_of(path)
        if data.lstrip().startswith(CODE_PREFIX):
            return CODE_FORM, check_code_file(data)
        form, fields = read_file(data)
        check = CHECKS.get(form)
        if check is None:
            raise UsageError(f"{path} is of the form {form!r}; known are {', '.join(CHECKS)}.", code="unknown_form")
        return form, check(fields)
    except RemoteLedgerError as problem:
        raise LedgerInvalid(f"{path} does not hold: {problem}.", code=problem.code) from problem


def checkpoint_of(given: str) -> Note:
    """The note in a file of that name, or the note itself; its last newline may have been lost in a shell.

    Raises LedgerInvalid with the reason, or UsageError.
    """
    is_text = "\n" in given.strip("\n")
    data = given.strip("\n").encode() + b"\n" if is_text else _bytes_of(Path(given))
    try:
        return Note.parse(data)
    except RemoteLedgerError as problem:
        raise LedgerInvalid(f"That is no checkpoint: {problem}.", code=problem.code) from problem


def hold_against(view: View, note: Note) -> Fault | None:
    """What contradicts a checkpoint in a ledger that holds by itself. Raises LedgerInvalid for another ledger's."""
    try:
        return check_against(view, note)
    except RemoteLedgerError as problem:
        raise LedgerInvalid(f"The checkpoint is not of this ledger: {problem}.", code=problem.code) from problem


def _bytes_of(path: Path) -> bytes:
    """As many as `read_file` would take, and one more."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as problem:
        raise UsageError(f"{path} can't be read: {problem.strerror}.", code="no_file") from None
