"""`v2xnode voucher ...` and `v2xnode issuers ...`: a third party's word that it pays, from issue to redemption."""

import json
import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from v2xnode.cli.bookkeeping import CurrencyOption, micro, take
from v2xnode.cli.ledger import reading
from v2xnode.cli.output import DataOption, JsonOption, Output
from v2xnode.errors import UsageError
from v2xnode.settling.signing import short_amount

MAX_FILE_BYTES = 4 * 1024 * 1024
"""What is read of a file before anything is parsed; see `ledger.filing`."""
DAY_S = 86_400
SERIAL_BYTES = 16

voucher_app = typer.Typer(no_args_is_help=True, help="Vouchers: issue, keep, draw on, redeem.")
issuers_app = typer.Typer(no_args_is_help=True, help="Whose vouchers this node takes.")

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="As it was given to you.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="Write the file here; stdout otherwise.")]
VoucherArgument = Annotated[str, typer.Argument(metavar="VOUCHER", help="Hash of the voucher (see `voucher list`).")]


def register(app: typer.Typer) -> None:
    """Hang the commands under the program."""
    app.add_typer(voucher_app, name="voucher")
    app.add_typer(issuers_app, name="issuers")


@voucher_app.command("issue")
def issue(
    data: DataOption,
    holder: Annotated[str, typer.Option(help="Node id of who may draw on it.")],
    amount: Annotated[str, typer.Option(help="In the currency, e.g. 25.00.")],
    provider: Annotated[str, typer.Option(help="Node id of the one provider; without it: any.")] = "",
    days: Annotated[int, typer.Option(min=1, max=3_650, help="How long it is good.")] = 30,
    currency: CurrencyOption = "EUR",
    out: OutOption = None,
) -> None:
    """Sign that you pay what its holder draws on it."""

    def work() -> None:
        params = {
            "serial": os.urandom(SERIAL_BYTES).hex(),
            "holder": holder,
            "provider": provider,
            "amount_micro": micro(amount),
            "currency": currency,
            "until_s": int(time.time()) + days * DAY_S,
        }
        _write(out, take(data, "voucher_issue", params)["file"])

    Output(False).guarded(work)


@voucher_app.command("add")
def add(file: FileArgument, data: DataOption, as_json: JsonOption = False) -> None:
    """Keep a voucher: your own, or one that a client has given you."""
    output = Output(as_json)

    def work() -> None:
        done = take(data, "voucher_add", {"file": _read(file)})
        output.say(_line(done["voucher"]))
        output.result(done)

    output.guarded(work)


@voucher_app.command("list")
def list_command(data: DataOption, as_json: JsonOption = False) -> None:
    """The vouchers that this node keeps, and what is left of each."""
    output = Output(as_json)

    def work() -> None:
        from v2xnode.settling.vouchers import all_vouchers

        with reading(data) as reader:
            found = [held.as_json() for held in all_vouchers(reader)]
        for each in found:
            output.say(_line(each))
        if not found:
            output.say("No vouchers are kept here.")
        output.result({"vouchers": found})

    output.guarded(work)


@voucher_app.command("draw")
def draw(
    trade: Annotated[str, typer.Argument(metavar="TRADE", help="Request id of a settled trade.")],
    voucher: VoucherArgument,
    data: DataOption,
    as_json: JsonOption = False,
) -> None:
    """Pay a trade by voucher; as its provider: draw on the voucher of a client that does not say so itself."""
    output = Output(as_json)

    def work() -> None:
        done = take(data, "voucher_draw", {"trade": trade, "voucher": voucher})
        output.say(f"Signed: {done['signed']} {done['hash']}. The peer is told when it is reached.")
        output.result(done)

    output.guarded(work)


@voucher_app.command("claim")
def claim(voucher: VoucherArgument, data: DataOption, out: OutOption = None) -> None:
    """Write the file with which its issuer redeems what you have drawn on a voucher."""

    def work() -> None:
        from v2xnode.settling.redeeming import claim_file

        with reading(data) as reader:
            _write(out, claim_file(reader, _hash(voucher)).decode())

    Output(False).guarded(work)


@voucher_app.command("redeem")
def redeem(file: FileArgument, data: DataOption, as_json: JsonOption = False) -> None:
    """As the issuer: check a provider's file, and sign that you owe it what was drawn."""
    output = Output(as_json)

    def work() -> None:
        done = take(data, "voucher_redeem", {"file": _read(file)})
        output.say(f"{len(done['redeemed'])} draws are redeemed: you owe the provider, and the holder owes you.")
        output.result(done)

    output.guarded(work)


@issuers_app.command("publish")
def publish(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON: number, issuers, revoked.")],
    data: DataOption,
    out: OutOption = None,
) -> None:
    """Sign a list of issuers with this node's key, for others to add."""

    def work() -> None:
        from v2xnode.identity import load_identity
        from v2xnode.settling.issuers import from_json, sign_list, to_file

        signer = load_identity(data).signer
        try:
            value = {"at_s": int(time.time()), **json.loads(_read(file))}
        except (ValueError, TypeError, RecursionError) as problem:
            raise UsageError(f"{file} is no JSON object: {problem}.", code="malformed") from None
        _write(out, to_file(sign_list(signer, from_json(value, signer.public))).decode())

    Output(False).guarded(work)


@issuers_app.command("add")
def add_issuers(
    file: FileArgument,
    data: DataOption,
    publisher: Annotated[str, typer.Option(help="Whose list it has to be: 64 hexadecimal digits.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Trust a list of issuers, in place of an older one of the same publisher."""
    output = Output(as_json)

    def work() -> None:
        done = take(data, "issuers_add", {"file": _read(file), "publisher": publisher})
        output.say(_list_line(done))
        output.result(done)

    output.guarded(work)


@issuers_app.command("list")
def list_issuers(data: DataOption, as_json: JsonOption = False) -> None:
    """The lists that this node trusts."""
    output = Output(as_json)

    def work() -> None:
        from v2xnode.settling.issuers import as_json as shown
        from v2xnode.settling.issuers import lists

        with reading(data) as reader:
            found = [shown(each) for each in lists(reader)]
        for each in found:
            output.say(_list_line(each))
            for issuer in each["issuers"]:
                limit = short_amount(issuer["any_limit_micro"], issuer["currency"])
                output.say(f"  {issuer['issuer'][:12]} {issuer['name']}: at any provider up to {limit}")
        if not found:
            output.say("No issuers are trusted: this node takes no vouchers.")
        output.result({"lists": found})

    output.guarded(work)


def _line(voucher: dict[str, Any]) -> str:
    currency = voucher["currency"]
    left, whole = (short_amount(voucher[name], currency) for name in ("remaining_micro", "amount_micro"))
    where = f"at {voucher['provider'][:12]}" if voucher["provider"] else "at any provider"
    until = time.strftime("%Y-%m-%d", time.gmtime(voucher["until_s"]))
    who = f"{voucher['holder'][:12]}, issued by {voucher['issuer'][:12]}"
    return f"{voucher['hash']}: {left} of {whole} left, for {who}, {where}, until {until}"


def _list_line(said: dict[str, Any]) -> str:
    counts = f"{len(said['issuers'])} issuers, {len(said['revoked'])} revoked vouchers"
    return f"List {said['number']} of {said['publisher'][:12]}: {counts}"


def _hash(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise UsageError("A voucher is named by 64 hexadecimal digits.", code="malformed") from None


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_FILE_BYTES + 1).decode()
    except OSError as problem:
        raise UsageError(f"{file} can't be read: {problem.strerror}.", code="no_file") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is no text.", code="malformed") from None


def _write(out: Path | None, text: str) -> None:
    if out is None:
        print(text, end="")
        return
    try:
        out.write_text(text)
    except OSError as problem:
        raise UsageError(f"{out} can't be written: {problem.strerror}.", code="no_file") from None
