"""`v2xnode backup FILE` and `v2xnode restore FILE`."""

import time
from pathlib import Path
from typing import Annotated

import typer

from v2xnode.cli.output import DataOption, JsonOption, Output
from v2xnode.cli.passphrase import PassphraseFile, passphrase
from v2xnode.errors import UsageError

FileArgument = Annotated[Path, typer.Argument(help="The backup.", metavar="FILE")]


def register(app: typer.Typer) -> None:
    """Hang the commands under the program."""
    app.command("backup")(backup)
    app.command("restore")(restore)


def backup(
    file: FileArgument, data: DataOption, passphrase_file: PassphraseFile = None, as_json: JsonOption = False
) -> None:
    """Write keys, ledger, limits and configuration into one encrypted file. Works while the node runs."""
    output = Output(as_json)

    def work() -> None:
        from v2xnode.backup.taking import take_backup

        made = take_backup(data, file, passphrase(passphrase_file, twice=True), at_ms=time.time_ns() // 1_000_000)
        output.say(f"{file} holds node {made.node.hex()[:12]}. Without its passphrase nobody can open it, nor can you.")
        output.result({"file": str(file), "node": made.node.hex(), "bytes": file.stat().st_size})

    output.guarded(work)


def restore(
    file: FileArgument, data: DataOption, passphrase_file: PassphraseFile = None, as_json: JsonOption = False
) -> None:
    """Make a data directory of a backup, in an empty directory; the node signs on in a new epoch."""
    output = Output(as_json)

    def work() -> None:
        from v2xnode.backup.restoring import restore_backup

        secret = passphrase(passphrase_file, twice=False)
        try:
            opened = file.open("rb")
        except OSError as problem:
            raise UsageError(f"{file} can't be read: {problem.strerror}.", code="no_file") from None
        with opened:
            restored = restore_backup(opened, data, secret)
        when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(restored.at_ms / 1_000))
        output.say(f"{data} is node {restored.node.hex()[:12]} as it was on {when} UTC.")
        output.say("What it signed since then its peers will show it, and it counts. Never run the old copy beside it.")
        output.result({"data": str(data), "node": restored.node.hex(), "at_ms": restored.at_ms})

    output.guarded(work)
