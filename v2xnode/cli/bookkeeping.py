"""`v2xnode ledger accounts, pay, received, confirm, net, resolve`: who owes what, and what its owner signs about it.

A running node signs by itself; where none runs, the command opens the ledger and signs.
"""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

import typer

from v2xnode.cli.ledger import ledger_at, reading
from v2xnode.cli.output import DataOption, JsonOption, Output
from v2xnode.control import command
from v2xnode.errors import Unreachable, UsageError
from v2xnode.settling.accounts import AGE_NAMES, Account, Debt, accounts
from v2xnode.settling.signing import short_amount
from v2xnode.settling.waiting import waiting

PeerArgument = Annotated[str, typer.Argument(metavar="PEER", help="Node id.")]
AmountArgument = Annotated[str, typer.Argument(metavar="AMOUNT", help="In the currency, e.g. 12.50.")]
CurrencyOption = Annotated[str, typer.Option("--currency", help="Three capital letters.")]
MeansOption = Annotated[str, typer.Option("--means", help="bank, cash, card or other.")]
ReferenceOption = Annotated[str, typer.Option("--reference", help="What tells it from others, e.g. a SEPA id.")]

MICRO = 1_000_000


def register(app: typer.Typer) -> None:
    """Hang the commands under `v2xnode ledger`."""
    app.command("accounts")(accounts_command)
    app.command("pay")(pay)
    app.command("received")(received)
    app.command("confirm")(confirm)
    app.command("net")(net)
    app.command("resolve")(resolve)
    app.command("prune")(prune)


def accounts_command(
    data: DataOption,
    peer: Annotated[str, typer.Option("--peer", help="Only this one: its node id, or how it begins.")] = "",
    as_json: JsonOption = False,
) -> None:
    """What each peer owes and is owed, in which currency, for how long; and what it waits for you to sign."""
    output = Output(as_json)

    def work() -> None:
        with reading(data) as reader:
            found, open_ = accounts(reader, _now_s(data)), waiting(reader)
        chosen = [each for each in found if each.peer.hex().startswith(peer.lower())]
        unanswered = [each for each in open_ if each.peer.hex().startswith(peer.lower())]
        for each in chosen:
            for line in lines(each):
                output.say(line)
        for one in unanswered:
            output.say(f"{one.peer.hex()[:12]}  {one.sentence}: {one.kind} {one.digest.hex()}")
        if not chosen:
            output.say("Nothing is owed, and nothing ever was.")
        told = {"accounts": [each.as_json() for each in chosen], "waiting": [each.as_json() for each in unanswered]}
        output.result({"ages": list(AGE_NAMES), **told})

    output.guarded(work)


def lines(account: Account) -> list[str]:
    """One account for people."""
    told = [f"{account.peer.hex()[:12]}  owes us {short_amount(account.net_micro, account.currency)} net"]
    for name, debt in (("owed to us", account.to_us), ("owed by us", account.by_us)):
        if debt.owed_micro or debt.pending_micro:
            told.append(f"  {name}: {_debt(debt, account.currency)}")
    return told


def _debt(debt: Debt, currency: str) -> str:
    parts = [short_amount(debt.owed_micro, currency)]
    if debt.pending_micro:
        parts.append(f"{short_amount(debt.pending_micro, currency)} not settled yet")
    if debt.since_s:
        parts.append(f"since {datetime.fromtimestamp(debt.since_s, UTC):%Y-%m-%d}")
    named = zip(("up to 30 days", "31 to 60", "61 to 90", "over 90"), debt.ages_micro, strict=True)
    ages = [f"{short_amount(amount, currency)} {name}" for name, amount in named if amount]
    return ", ".join(parts) + (f" ({'; '.join(ages)})" if ages else "")


def pay(
    peer: PeerArgument,
    amount: AmountArgument,
    data: DataOption,
    currency: CurrencyOption = "EUR",
    means: MeansOption = "bank",
    reference: ReferenceOption = "",
    as_json: JsonOption = False,
) -> None:
    """Sign that you have paid a peer. It counts for the peer once it has confirmed."""
    _take(data, as_json, "pay", _payment(peer, amount, currency, means, reference))


def received(
    peer: PeerArgument,
    amount: AmountArgument,
    data: DataOption,
    currency: CurrencyOption = "EUR",
    means: MeansOption = "bank",
    reference: ReferenceOption = "",
    as_json: JsonOption = False,
) -> None:
    """Sign that a peer has paid you, although it has not said so itself."""
    _take(data, as_json, "received", _payment(peer, amount, currency, means, reference))


def confirm(
    payment: Annotated[str, typer.Argument(metavar="PAYMENT", help="Hash of the peer's Pay.")],
    data: DataOption,
    as_json: JsonOption = False,
) -> None:
    """Confirm a payment that a peer has signed."""
    _take(data, as_json, "confirm", lambda: {"payment": payment})


def net(
    data: DataOption,
    peer: Annotated[str, typer.Option("--peer", help="Propose to this peer: its node id.")] = "",
    proposal: Annotated[str, typer.Option("--agree", help="Sign this proposal of a peer: its hash.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Sign what is owed between you and a peer: once both have, the two directions cancel."""
    _take(data, as_json, "net", lambda: {"peer": peer, "net": proposal})


def resolve(
    trade: Annotated[str, typer.Argument(metavar="TRADE", help="Request id of a disputed trade.")],
    data: DataOption,
    energy_wh: Annotated[int, typer.Option("--energy-wh", help="Propose this; without it: agree to the peer's.")] = -1,
    as_json: JsonOption = False,
) -> None:
    """End a dispute: propose the energy that counts, or agree to what the peer has proposed."""
    proposed = {} if energy_wh < 0 else {"energy_wh": energy_wh}
    _take(data, as_json, "resolve", lambda: {"trade": trade, **proposed})


def prune(
    data: DataOption,
    before: Annotated[str, typer.Option("--before", help="A Net that both have signed: its hash.")] = "",
    peer: Annotated[str, typer.Option("--peer", help="Before the newest Net with this peer: its node id.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Drop what was netted: bodies of trades before a Net of both, for ever. What they came to stays, and verifies."""
    output = Output(as_json)

    def work() -> None:
        done = take(data, "prune", {"net": before, "peer": peer})
        output.say(f"The bodies of {done['pruned']} trades were dropped.")
        output.result(done)

    output.guarded(work)


def take(data: Path, name: str, params: dict[str, Any]) -> dict[str, Any]:
    """One of `settling.steps.STEPS`, by the running node or, where none runs, by this command. Raises NodeError."""
    try:
        taken: dict[str, Any] = asyncio.run(command(data, name, params))
    except Unreachable:
        return _take_here(data, name, params)
    return taken


def _take(data: Path, as_json: bool, name: str, params: Any) -> None:
    output = Output(as_json)

    def work() -> None:
        done = take(data, name, params())
        output.say(f"Signed: {done['signed']} {done['hash']}. The peer is told when it is reached.")
        output.result(done)

    output.guarded(work)


def _take_here(data: Path, name: str, params: dict[str, Any]) -> dict[str, Any]:
    from ledger.store.directory import DirectoryLock
    from v2xnode.rotation import open_ledger
    from v2xnode.settling.steps import STEPS

    with DirectoryLock(data), open_ledger(data, ledger_at(data)) as ledger:
        now_s = _now_s(data)
        return ledger.transact(lambda transaction: STEPS[name](transaction, params, now_s))


def _payment(peer: str, amount: str, currency: str, means: str, reference: str) -> Any:
    return lambda: {
        "peer": peer,
        "amount_micro": micro(amount),
        "currency": currency,
        "means": means,
        "reference": reference,
    }


def micro(amount: str) -> int:
    """Millionths of an amount as people write it, exactly. Raises UsageError."""
    try:
        exact = Decimal(amount) * MICRO
    except InvalidOperation:
        exact = Decimal("NaN")
    if not exact.is_finite() or exact != exact.to_integral_value():
        raise UsageError(f"{amount!r:.40} is no amount with at most six decimals.", code="malformed")
    return int(exact)


def _now_s(data: Path) -> int:
    from v2xnode.config import CONFIG_FILE, Config, load_config
    from v2xnode.node import clock_of

    config = load_config(data) if (data / CONFIG_FILE).exists() else Config()
    return clock_of(config).wall_ms() // 1000
