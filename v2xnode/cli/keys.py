"""`v2xnode key ...`: the key that signs, another in its place, and the paper that takes a stolen one's power away."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from v2xnode.cli.ledger import ledger_at, reading
from v2xnode.cli.output import DataOption, JsonOption, Output
from v2xnode.cli.revocation_paper import print_revocation_key
from v2xnode.errors import UsageError
from v2xnode.revocation_key import RevocationKey

app = typer.Typer(no_args_is_help=True, help="The key that signs: change it, revoke it.")

KeyFile = Annotated[
    Path | None, typer.Option("--key-file", help="A file that holds the revocation key; asked for otherwise.")
]
MAX_KEY_CHARS = 256
"""Of such a file: 56 letters, and room for gaps."""


@app.command("show")
def show(data: DataOption, as_json: JsonOption = False) -> None:
    """Which key signs, whether there is a revocation key, and what was revoked."""
    output = Output(as_json)

    def work() -> None:
        with reading(data) as reader:
            keys = reader.keys_of(reader.node)
            count = len(reader.key_entries(reader.node))
        output.say(f"Node {keys.node.hex()}.")
        output.say(f"Signing now: {keys.current.hex()}." if keys.current else "Nobody signs for it any more.")
        output.say(
            "It has a revocation key." if keys.commitment else "It has no revocation key: see `key revocation-key`."
        )
        for public in sorted(keys.revoked):
            output.say(f"Revoked: {public.hex()}.")
        output.result(
            {
                "node": keys.node.hex(),
                "signing": keys.current.hex() or None,
                "revocation_key": bool(keys.commitment),
                "revoked": [public.hex() for public in sorted(keys.revoked)],
                "key_entries": count,
            }
        )

    output.guarded(work)


@app.command("rotate")
def rotate(data: DataOption, as_json: JsonOption = False) -> None:
    """Make a new signing key for a stopped node; its name and its debts stay. Make a new backup afterwards."""
    output = Output(as_json)

    def work() -> None:
        from v2xnode.rotation import rotate_key

        identity = _stopped(data, lambda: rotate_key(data, ledger_at(data), os.urandom))
        output.say(f"From now on {identity.signer.public.hex()} signs for node {identity.node_id[:12]}.")
        output.say("Backups with the old key bring this node back no more: make a new one.")
        output.result({"node": identity.node_id, "signing": identity.signer.public.hex()})

    output.guarded(work)


@app.command("revocation-key")
def revocation_key(data: DataOption, as_json: JsonOption = False) -> None:
    """Make a revocation key for a stopped node that has none, and print it once. Its signing key changes with it."""
    output = Output(as_json)

    def work() -> None:
        from v2xnode.rotation import rotate_key

        key = RevocationKey.new(os.urandom)
        _stopped(data, lambda: rotate_key(data, ledger_at(data), os.urandom, key.commitment))
        print_revocation_key(output, key)
        output.result({"revocation_key": key.text})

    output.guarded(work)


@app.command("revoke")
def revoke(
    data: DataOption,
    out: Annotated[Path, typer.Option("--out", help="The revocation for peers, a new file.")],
    key_file: KeyFile = None,
    give_up: Annotated[bool, typer.Option("--give-up", help="Let nobody sign for this node any more.")] = False,
    as_json: JsonOption = False,
) -> None:
    """With the printed revocation key: take the signing key's power away, for a stopped node whose key was stolen."""
    output = Output(as_json)

    def work() -> None:
        from ledger.files import revocation
        from v2xnode import rotation
        from v2xnode.cli.exporting import write_new

        if out.exists():
            raise UsageError(f"{out} exists already; nothing was changed.", code="file_exists")
        offline, where = _typed_key(key_file), ledger_at(data)
        following = None if give_up else RevocationKey.new(os.urandom)
        entries = _stopped(
            data,
            lambda: (
                rotation.give_up(data, where, offline)
                if following is None
                else rotation.revoke_keys(data, where, os.urandom, offline, following.commitment)
            ),
        )
        write_new(out, revocation.to_file(entries))
        output.say(f"Revoked. Give {out} to everybody who trades with this node: `v2xnode key learn FILE`.")
        if following is not None:
            output.say("The revocation key that you typed is spent. This is the new one:")
            print_revocation_key(output, following)
        output.result({"file": str(out), "revocation_key": following.text if following else None})

    output.guarded(work)


@app.command("learn")
def learn(
    file: Annotated[Path, typer.Argument(help="A revocation, as `key revoke` writes it.")],
    data: DataOption,
    as_json: JsonOption = False,
) -> None:
    """Take a peer's revocation into the ledger of a stopped node: what the revoked keys sign counts no more."""
    output = Output(as_json)

    def work() -> None:
        from ledger.files import revocation
        from ledger.filing import MAX_FILE_BYTES, read_file
        from v2xnode.rotation import open_ledger

        try:
            with file.open("rb") as opened:
                form, fields = read_file(opened.read(MAX_FILE_BYTES + 1))
        except OSError as problem:
            raise UsageError(f"{file} can't be read: {problem.strerror}.", code="no_file") from None
        if form != revocation.FORM:
            raise UsageError(f"{file} is no revocation.", code="unknown_form")
        entries, keys = revocation.from_fields(fields)

        def keep() -> int:
            with open_ledger(data, ledger_at(data)) as ledger:
                return ledger.transact(lambda tx: sum(tx.receive(each) for each in entries))

        kept = _stopped(data, keep)
        output.say(f"Node {keys.node.hex()[:12]}: {len(keys.revoked)} revoked keys are known.")
        output.result({"node": keys.node.hex(), "new_entries": kept})

    output.guarded(work)


def _typed_key(file: Path | None) -> RevocationKey:
    """Raises UsageError for a misprint, or where nothing is typed."""
    if file is not None:
        try:
            with file.open() as opened:
                return RevocationKey.parse(opened.read(MAX_KEY_CHARS))
        except (OSError, UnicodeDecodeError) as problem:
            raise UsageError(f"{file} can't be read: {problem}.", code="no_file") from None
    try:
        return RevocationKey.parse(str(typer.prompt("Revocation key", hide_input=True, err=True)))
    except typer.Abort:
        raise UsageError("No revocation key was typed; nothing was changed.", code="unanswered") from None


def _stopped(data: Path, work: Callable[[], Any]) -> Any:
    """Raises DirectoryHeld while a node runs there: its sessions end under the key that they began with."""
    from ledger.store.directory import DirectoryLock

    with DirectoryLock(data):
        return work()
