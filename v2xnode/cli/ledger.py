"""`v2xnode ledger ...`: look at a ledger, check it, give it to others. Works while the node runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ledger.audit.quick import verify_quickly
from ledger.audit.rows import Fault
from ledger.audit.verify import Report, verify
from ledger.entry import Entry
from ledger.store.reader import LedgerReader
from v2xnode.cli.output import DataOption, JsonOption, Output
from v2xnode.cli.verifying import checkpoint_of, hold_against, verify_file
from v2xnode.errors import LedgerInvalid, UsageError
from v2xnode.settling.money import posting_rule
from v2xnode.settling.netting import bears_out
from v2xnode.settling.trades import describe, trades

app = typer.Typer(no_args_is_help=True, help="Look at this node's ledger, verify it, export it.")


@contextmanager
def reading(data: Path, *, of_any_schema: bool = False) -> Iterator[LedgerReader]:
    """The ledger of a data directory, read-only. Raises UsageError where there is none."""
    where = ledger_at(data)
    if isinstance(where, Path) and not where.exists():
        raise UsageError(f"There is no ledger in {data}.", code="no_ledger")
    with LedgerReader.open(where) as reader:
        if not of_any_schema:
            reader.check_schema()
        yield reader


def ledger_at(data: Path) -> Path | str:
    """Its file or its database's URL. A file is found without a configuration too. Raises ConfigError."""
    from v2xnode.config import CONFIG_FILE, Config, load_config

    config = load_config(data) if (data / CONFIG_FILE).exists() else Config()
    return config.ledger_at(data)


def report_json(report: Report) -> dict[str, Any]:
    """A verification as JSON."""
    return {
        "ok": report.ok,
        "entries": report.entries,
        "messages": report.messages,
        "postings": report.postings,
        "head": _head_json(report.head),
        "fault": _fault_json(report.fault),
        "sentence": report.sentence,
    }


def _head_json(head: Entry | None) -> dict[str, Any] | None:
    return None if head is None else {"seq": head.seq, "hash": head.hash.hex()}


def _fault_json(fault: Fault | None) -> dict[str, Any] | None:
    if fault is None:
        return None
    return {
        "table": fault.table,
        "row": fault.position,
        "column": fault.column,
        "code": fault.code,
        "sentence": fault.sentence,
    }


@app.command("verify")
def verify_command(
    data: DataOption,
    file: Annotated[Path | None, typer.Argument(help="A file that you were given, in place of the ledger.")] = None,
    checkpoint: Annotated[str, typer.Option(help="A checkpoint that somebody kept: its file, or its text.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Our own chain alone, by its newest signature.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check every row of the ledger, or a file; exit 5 and name the first thing that does not hold."""
    output = Output(as_json)

    def work() -> int:
        if quick and (file is not None or checkpoint):
            raise UsageError("--quick looks at the ledger alone.", code="usage")
        if quick:
            return _verify_quickly(output, data)
        return _verify_ledger(output, data, checkpoint) if file is None else _verify_file(output, file)

    output.guarded(work)


def _verify_ledger(output: Output, data: Path, checkpoint: str) -> int:
    note = checkpoint_of(checkpoint) if checkpoint else None
    with reading(data, of_any_schema=True) as reader:  # what it says of its schema is verified too
        report = verify(reader, posting_rule, bears_out)
        if report.ok and note is not None:
            report = replace(report, fault=hold_against(reader, note), compared=True)
    output.say(report.sentence)
    output.result(report_json(report))
    return 0 if report.ok else LedgerInvalid.exit_code


def _verify_quickly(output: Output, data: Path) -> int:
    with reading(data) as reader:
        report = verify_quickly(reader)
    output.say(report.sentence)
    output.result(
        {
            "ok": report.ok,
            "quick": True,
            "entries": report.entries,
            "adopted": report.adopted,
            "head": _head_json(report.head),
            "fault": _fault_json(report.fault),
            "sentence": report.sentence,
        }
    )
    return 0 if report.ok else LedgerInvalid.exit_code


def _verify_file(output: Output, file: Path) -> int:
    form, report = verify_file(file)
    output.say(report.sentence)
    output.result({"ok": True, "form": form, **report.details, "sentence": report.sentence})
    return 0


@app.command("show")
def show_command(data: DataOption, as_json: JsonOption = False) -> None:
    """The trades and balances in the ledger."""
    output = Output(as_json)

    def work() -> None:
        with reading(data) as reader:
            found = trades(reader)
            balances = {f"{account} {currency}": balance for (account, currency), balance in reader.balances().items()}
        for each in found:
            output.say(f"{each.request_id.hex()[:12]} {describe(each)}")
        for name, balance in sorted(balances.items()):
            output.say(f"{name}: {balance.posted_micro} posted, {balance.pending_micro} pending (millionths)")
        output.result(
            {
                "trades": [each.as_json() for each in found],
                "balances": {
                    name: {"posted_micro": balance.posted_micro, "pending_micro": balance.pending_micro}
                    for name, balance in sorted(balances.items())
                },
            }
        )

    output.guarded(work)
