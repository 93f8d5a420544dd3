"""`v2xnode ledger export` and what belongs to it: trades as other systems read them."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ledger.store.reader import LedgerReader
from v2xnode.cli.ledger import ledger_at, reading
from v2xnode.cli.output import DataOption, JsonOption, Output
from v2xnode.errors import UsageError
from v2xnode.settling.trades import Trade, trades

if TYPE_CHECKING:
    from v2xnode.config import Config
    from v2xnode.export.interface import Source
    from v2xnode.meter_key import MeterKey

MIN_DIGITS = 6
"""Of a request id, where its beginning names a trade."""

TradeArgument = Annotated[str, typer.Argument(metavar="TRADE", help="Request id, or its first digits.")]


def register(app: typer.Typer) -> None:
    """Hang the commands under `v2xnode ledger`."""
    app.command("export")(export)
    app.command("meter-key")(meter_key)
    app.command("receipt")(receipt)


def export(
    data: DataOption,
    form: Annotated[str, typer.Option("--format", help="jsonl, csv, ocmf, ocpi, or one that is installed.")] = "jsonl",
    wanted: TradeArgument = "",
) -> None:
    """Write trades to stdout for other systems: all of them, or one. jsonl is the ledger itself."""

    def work() -> None:
        from v2xnode.export.registry import find_exporter

        exporter = find_exporter(form)
        with reading(data) as reader:
            for line in exporter(_source(reader, data, wanted)):
                print(line)

    Output(False).guarded(work)


def receipt(
    wanted: TradeArgument,
    data: DataOption,
    form: Annotated[
        Literal["json", "html", "pdf"], typer.Option("--format", help="json is what is verified.")
    ] = "json",
    lang: Annotated[Literal["en", "de"], typer.Option(help="Of html and pdf.")] = "en",
    out: Annotated[Path | None, typer.Option("--out", help="File to write; stdout where none is named.")] = None,
) -> None:
    """Write what a stranger needs to check a settled trade: `v2xnode ledger verify FILE` does, and needs no more. html
    and pdf are for people: one page with a code that proves its totals."""

    def work() -> None:
        with reading(data) as reader:
            file = _receipt(reader, one_of(trades(reader), wanted), form, lang)
        if out is None:
            sys.stdout.buffer.write(file)
        else:
            write_new(out, file)

    Output(False).guarded(work)


def _receipt(reader: LedgerReader, trade: Trade, form: str, lang: str) -> bytes:
    from v2xnode.export.receipt import make_receipt

    made = make_receipt(reader, trade)
    if form == "json":
        return made.encode()
    from v2xnode.export.printable.print import printed

    return printed(made, trade, form, lang)


def write_new(path: Path, data: bytes) -> None:
    """Raises UsageError where there is something of that name already, or nothing can be written."""
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        raise UsageError(f"{path} exists already; nothing was changed.", code="file_exists") from None
    except OSError as problem:
        raise UsageError(f"{path} can't be written: {problem.strerror}.", code="no_file") from None


def meter_key(data: DataOption, as_json: JsonOption = False) -> None:
    """Make the key that signs meter values for others, unless there is one, bind it to the chain, and print its public
    half. The node has to be stopped."""
    output = Output(as_json)

    def work() -> None:
        from v2xnode.meter_key import create_meter_key, load_meter_key

        meter = load_meter_key(data)
        if meter is None:
            meter = create_meter_key(data)
        bound = _bind(data, meter)
        output.say(meter.spki.hex())
        output.result({"public_key": meter.spki.hex(), "bound_now": bound})

    output.guarded(work)


def _bind(data: Path, meter: "MeterKey") -> bool:
    from ledger.store.directory import DirectoryLock
    from ledger.store.ledger import Ledger
    from v2xnode.identity import load_identity
    from v2xnode.meter_binding import bind_meter_key
    from v2xnode.settling.money import posting_rule

    identity = load_identity(data)
    with (
        DirectoryLock(data),
        Ledger.open(ledger_at(data), identity.signer, posting_rule=posting_rule) as ledger,
    ):
        return ledger.transact(lambda transaction: bind_meter_key(transaction, meter))


def _source(reader: LedgerReader, data: Path, wanted: str) -> "Source":
    from v2xnode.export.interface import Numbered, Source
    from v2xnode.meter_binding import is_bound
    from v2xnode.meter_key import load_meter_key

    found, meter = trades(reader), load_meter_key(data)
    only = one_of(found, wanted).request_id if wanted else None
    numbered = [Numbered(number, each) for number, each in enumerate(found, 1)]
    return Source(
        ledger=reader,
        trades=[each for each in numbered if only in (None, each.trade.request_id)],
        only=only,
        config=_config(data),
        meter=meter if meter is not None and is_bound(reader, meter) else None,
    )


def _config(data: Path) -> "Config":
    """What is configured; the defaults where nothing is, since most formats need none of it."""
    from v2xnode.config import CONFIG_FILE, Config, load_config

    return load_config(data) if (data / CONFIG_FILE).exists() else Config()


def one_of(found: Sequence[Trade], wanted: str) -> Trade:
    """The trade whose request id begins so. Raises UsageError where that is none or not the only one."""
    named = [each for each in found if each.request_id.hex().startswith(wanted.lower())]
    if len(wanted) < MIN_DIGITS or not named:
        raise UsageError(f"No trade begins with {wanted!r} ({MIN_DIGITS} digits at least).", code="no_trade")
    if len(named) > 1:
        raise UsageError(f"{len(named)} trades begin with {wanted!r}: give more digits.", code="ambiguous")
    return named[0]
