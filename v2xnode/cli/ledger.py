"""`v2xnode ledger ...`: look at a ledger, check it, give it to others. Works while the node runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from ledger.audit import Report, verify
from ledger.reader import LedgerReader
from v2xnode.cli.output import DataOption, JsonOption, Output
from v2xnode.errors import LedgerInvalid, UsageError
from v2xnode.settling.money import posting_rule
from v2xnode.settling.trades import describe, trades

DATABASE_FILE = "node.db"

app = typer.Typer(no_args_is_help=True, help="Look at this node's ledger, verify it, export it.")


@contextmanager
def reading(data: Path) -> Iterator[LedgerReader]:
    """The ledger of a data directory, read-only. Raises UsageError where there is none."""
    path = data / DATABASE_FILE
    if not path.exists():
        raise UsageError(f"There is no ledger in {data}.", code="no_ledger")
    with LedgerReader.open(path) as reader:
        yield reader


def report_json(report: Report) -> dict[str, Any]:
    """A verification as JSON."""
    fault = report.fault
    return {
        "ok": report.ok,
        "entries": report.entries,
        "messages": report.messages,
        "postings": report.postings,
        "head": {"seq": report.head.seq, "hash": report.head.hash.hex()} if report.head else None,
        "fault": None
        if fault is None
        else {
            "table": fault.table,
            "row": fault.position,
            "column": fault.column,
            "code": fault.code,
            "sentence": fault.sentence,
        },
        "sentence": report.sentence,
    }


@app.command("verify")
def verify_command(data: DataOption, as_json: JsonOption = False) -> None:
    """Check every row of the ledger; exit 5 and name the first bad row if one does not hold."""
    output = Output(as_json)

    def work() -> int:
        with reading(data) as reader:
            report = verify(reader, posting_rule)
        output.say(report.sentence)
        output.result(report_json(report))
        return 0 if report.ok else LedgerInvalid.exit_code

    output.guarded(work)


@app.command("show")
def show_command(data: DataOption, as_json: JsonOption = False) -> None:
    """The trades and balances in the ledger."""
    output = Output(as_json)

    def work() -> None:
        with reading(data) as reader:
            found = trades(reader)
            balances = {f"{account} {currency}": balance for (account, currency), balance in reader.balances().items()}
        for each in found:
            output.say(describe(each))
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
