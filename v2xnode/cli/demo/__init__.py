"""`v2xnode demo`: the main job, on real input, with real processes, in a quarter of a minute."""

import asyncio
import json
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from market.errors import Reason
from v2xnode.cli.output import JsonOption, Output, make_directory
from v2xnode.clock import Clock
from v2xnode.errors import LedgerInvalid, UsageError

if TYPE_CHECKING:
    from v2xnode.cli.demo.story import Told

SPEED = 8
"""World seconds a real second: three deliveries of half a minute to a minute fit into a quarter of a minute."""
SCHEMA = "v2xnode-demo/1"
Bearer = Literal["coap", "ble", "libp2p", "memory"]


def register(app: typer.Typer) -> None:
    """Hang the command under the program."""
    app.command("demo")(demo)


def demo(
    transport: Annotated[
        Bearer,
        typer.Option(help="ble: in a virtual air, without a radio; memory: all nodes in this process."),
    ] = "coap",
    speed: Annotated[int, typer.Option(min=1, max=60, help="World seconds a real second.")] = SPEED,
    tamper: Annotated[bool, typer.Option("--tamper", help="Edit one stored row afterwards; verify names it.")] = False,
    serve: Annotated[bool, typer.Option("--serve", help="Leave the nodes running until interrupted.")] = False,
    keep: Annotated[Path | None, typer.Option(help="Keep one data directory per node here.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Two cars, a house and a cabin trade energy: one V2V, one V2H, one V2L, one refusal, all ledgers verified."""
    output = Output(as_json)

    def work() -> int:
        Clock(speed)  # refuses a speed at which a permit would be too short-lived
        with ExitStack() as stack:
            directory = _directory(keep, stack)
            return asyncio.run(_run(directory, transport, speed, tamper, serve, output))

    output.guarded(work)


def _directory(keep: Path | None, stack: ExitStack) -> Path:
    if keep is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="v2x-")))
    if keep.exists() and not (keep.is_dir() and not any(keep.iterdir())):
        raise UsageError(f"{keep} is not an empty directory; nothing was changed.", code="directory_not_empty")
    make_directory(keep)
    return keep.resolve()


async def _run(directory: Path, transport: Bearer, speed: int, tamper: bool, serve: bool, output: Output) -> int:
    from v2xnode.cli.demo.story import Story

    began = time.monotonic()
    current = asyncio.current_task()
    if current is not None:  # SIGTERM ends the processes as SIGINT does
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, current.cancel)
    output.say(f"Starting one plant and four nodes ({transport}, world at {speed}x).")
    async with _stage(directory, transport, speed) as stage:
        told = await Story(stage, output.say).play()
        if serve:
            await _serve(stage, output)
    ledgers = await asyncio.gather(*(_verified(directory, place) for place in _places()))
    for ledger in ledgers:
        output.say(f"{ledger['node']}: {ledger['sentence']}")
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "trades": told.trades,
        "refusals": told.refusals,
        "ledgers": list(ledgers),
        "wall_s": round(time.monotonic() - began, 3),
    }
    output.say(f"{len(told.trades)} trades settled, {len(told.refusals)} refused, in {result['wall_s']} s.")
    code = 0 if all(ledger["verified"] for ledger in ledgers) else LedgerInvalid.exit_code
    code = code or _unsettled(told, output)
    if tamper:
        result["tampered"] = await _tampered(directory, output)
        code = code or (1 if result["tampered"]["verified"] else LedgerInvalid.exit_code)
    output.result(result)
    return code


def _unsettled(told: "Told", output: Output) -> int:
    """Exit code 1, and words, for a trade that did not end as it should have."""
    wrong = [
        each["service"]
        for each in told.trades
        if each["state"] != "settled"
        or each["reason"] != Reason.ENERGY_REACHED.code
        or each["delivered_wh"]["agreed"] != each["delivered_wh"]["agreed_by_provider"]
        or len(set(each["amount_micro"].values())) != 1
        or each["delivered_wh"]["agreed"] == 0
    ]
    for service in wrong:
        output.say(f"The {service} trade did not settle as it should have.")
    return 1 if wrong else 0


@asynccontextmanager
async def _stage(directory: Path, transport: Bearer, speed: int) -> AsyncIterator[Any]:
    from v2xnode.cli.demo.inside import inside
    from v2xnode.cli.demo.processes import running

    async with inside(directory, speed) if transport == "memory" else running(directory, transport, speed) as stage:
        yield stage


def _places() -> list[str]:
    from v2xnode.cli.demo.world import CAST

    return [cast.place for cast in CAST]


async def _verified(directory: Path, place: str) -> dict[str, Any]:
    """What a fresh process says of a ledger."""
    data = directory / place
    arguments = ("ledger", "verify", "--json", "--data", str(data))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "v2xnode", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    printed, _ = await process.communicate()
    report = json.loads(printed)
    return {
        "node": place,
        "data": str(data),
        "entries": report["entries"],
        "verified": report["ok"] and process.returncode == 0,
        "head": report["head"],
        "fault": report["fault"],
        "sentence": report["sentence"],
    }


async def _tampered(directory: Path, output: Output) -> dict[str, Any]:
    """Raise the first amount of the first ledger by a millionth, as a cheat would, and verify again."""
    from v2xnode.config import DATABASE_FILE

    place = _places()[0]
    database = sqlite3.connect(directory / place / DATABASE_FILE)
    with database:
        database.execute("UPDATE posting SET amount_micro = amount_micro + 1 WHERE position = 1")
    database.close()
    ledger = await _verified(directory, place)
    output.say(f"After one amount in {place} was raised by a millionth: {ledger['sentence']}")
    return ledger


async def _serve(stage: Any, output: Output) -> None:
    output.say("The nodes go on running; interrupt to stop them. Look at one from another terminal:")
    for place in _places():
        output.say(f"v2xnode trades --data {stage.data(place)}")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None:
            current.uncancel()
