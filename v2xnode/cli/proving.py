"""`v2xnode ledger checkpoint, forks`: what others may keep of this ledger, and what this one keeps of others."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ledger.proofs.checkpoint import Checkpoint
from ledger.proofs.note import MAX_SIGNATURES, Note
from ledger.proofs.proving import cosignatures, newest_checkpoint
from ledger.store.view import View
from ledger.witnessing.fork import ForkProof
from ledger.witnessing.forks import file_of, forks
from ledger.witnessing.witnessed import witnessed
from v2xnode.cli.ledger import reading
from v2xnode.cli.output import DataOption, JsonOption, Output, make_directory
from v2xnode.cli.verifying import fork_json
from v2xnode.errors import UsageError


def register(app: typer.Typer) -> None:
    """Hang the commands under `v2xnode ledger`."""
    app.command("checkpoint")(checkpoint_command)
    app.command("forks")(forks_command)


def checkpoint_command(
    data: DataOption,
    of: Annotated[str, typer.Option("--of", help="A node whose newest checkpoint is remembered here.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Print the newest checkpoint of this ledger with its cosignatures, or the one that it remembers of a peer.

    Whoever keeps it can show later that the ledger was cut or rewritten: `v2xnode ledger verify --checkpoint`.
    """
    output = Output(as_json)

    def work() -> None:
        with reading(data) as reader:
            note = _remembered(reader, of) if of else _own(reader)
        text = bytes(note).decode()
        if not as_json:
            print(text, end="")
        output.result({"checkpoint": text, **_checkpoint_json(Checkpoint.parse(note.text))})

    output.guarded(work)


def _own(view: View) -> Note:
    held = newest_checkpoint(view, view.keys_of(view.node).live)
    if held is None:
        raise UsageError("This ledger has no checkpoint yet: one is made after each trade.", code="no_checkpoint")
    lines = tuple(each.line for each in cosignatures(view, held))
    return replace(held.note, signatures=(*held.note.signatures, *lines)[:MAX_SIGNATURES])


def _remembered(view: View, of: str) -> Note:
    found = witnessed(view, _node(of))
    if not found:
        raise UsageError(f"No checkpoint of {of} is remembered here.", code="no_checkpoint")
    return Note.parse(max(found, key=lambda each: each.at_ms).note)


def _checkpoint_json(checkpoint: Checkpoint) -> dict[str, Any]:
    node, epoch = checkpoint.place
    return {"node": node.hex(), "epoch": epoch.hex(), "size": checkpoint.size, "root": checkpoint.root.hex()}


def _node(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise UsageError(f"{text!r} is no node id: that has 64 hexadecimal digits.", code="no_node") from None


def forks_command(
    data: DataOption,
    out: Annotated[Path | None, typer.Option(help="A directory: each proof is written to a file there.")] = None,
    as_json: JsonOption = False,
) -> None:
    """The nodes that signed two histories, and the proofs: they are not traded with."""
    output = Output(as_json)

    def work() -> None:
        with reading(data) as reader:
            files = {held.proof: file_of(reader, held) for held in forks(reader)}
        written = {proof: _written(out, proof, text) for proof, text in files.items()} if out else {}
        for proof in files:
            output.say(f"{proof.sentence}{f': {written[proof]}' if written else ''}")
        told = [{**fork_json(proof), "file": written.get(proof)} for proof in files]
        output.result({"forks": told})
        if not told:
            output.say("No fork proof is held.")

    output.guarded(work)


def _written(directory: Path, proof: ForkProof, text: bytes) -> str:
    make_directory(directory)
    path = directory / f"fork-{proof.node.hex()[:16]}.json"
    try:
        path.write_bytes(text)
    except OSError as problem:
        raise UsageError(f"{path} can't be written: {problem.strerror}.", code="no_file") from None
    return str(path)
