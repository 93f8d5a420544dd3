"""Commands around a running node: start it, look around, ask for energy, list trades, stop."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated, Any

import typer

from market.units import MAX_ENERGY_WH, MAX_POWER_W, MAX_PRICE_MICRO_PER_KWH
from v2xnode.cli.output import DataOption, JsonOption, Output
from v2xnode.control import RemoteRefusal, command
from v2xnode.errors import RefusedByLimit, TimedOut


def register(app: typer.Typer) -> None:
    """Hang the commands under the program."""
    app.command("run")(run)
    app.command("request")(request)
    app.command("trades")(trades_command)
    app.command("stop")(stop)
    app.command("allow")(allow)


def run(data: DataOption, as_json: JsonOption = False) -> None:
    """Run the node of a data directory until interrupted (SIGINT or SIGTERM: power off first)."""
    output = Output(as_json)
    output.guarded(lambda: asyncio.run(_run(data, output)))


async def _run(data: Path, output: Output) -> None:
    from v2xnode.node import open_node

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    async with open_node(data) as node:
        output.say(f"{node.name} is running as {node.node_id[:12]} on {data}.")
        with node.events.listening() as events:
            tell = asyncio.create_task(_tell(events, output))
            try:
                await stopping.wait()
                output.say("Stopping: power off first.")
            finally:
                tell.cancel()


async def _tell(events: Any, output: Output) -> None:
    async for event in events:
        words = ", ".join(f"{name} {value}" for name, value in event.data.items())
        output.say(f"{event.kind}: {words}")


def request(
    data: DataOption,
    service: Annotated[str, typer.Option(help="V2V, V2H, V2L or V2B.")],
    energy_wh: Annotated[int, typer.Option(min=1, max=MAX_ENERGY_WH, help="Wanted, in Wh.")],
    energy_min_wh: Annotated[
        int, typer.Option(min=0, max=MAX_ENERGY_WH, help="The least that is worth it; 0: all of it.")
    ] = 0,
    power_max_w: Annotated[int, typer.Option(min=1, max=MAX_POWER_W)] = 11_000,
    price_max_micro: Annotated[
        int, typer.Option(min=0, max=MAX_PRICE_MICRO_PER_KWH, help="Millionths of the currency a kWh.")
    ] = 500_000,
    window_minutes: Annotated[int, typer.Option(min=1, max=44_640)] = 60,
    peer: Annotated[str, typer.Option(help="Only this provider: its node id, or how it begins.")] = "",
    address: Annotated[str, typer.Option(help="Ask the provider at this address (bearer:address).")] = "",
    timeout_s: Annotated[int, typer.Option(min=1, max=86_400)] = 3_600,
    as_json: JsonOption = False,
) -> None:
    """Ask for energy: find providers, take the best offer, receive, settle. Exit 4 when a limit refuses."""
    output = Output(as_json)
    params = {
        "service": service.upper(),
        "energy_wh": energy_wh,
        "energy_min_wh": energy_min_wh or energy_wh,
        "power_max_w": power_max_w,
        "price_max_micro_per_kwh": price_max_micro,
        "window_ms": window_minutes * 60_000,
        "peer": peer.lower(),
        "address": address,
    }

    def work() -> int:
        result = asyncio.run(_requested(data, params, timeout_s, output))
        output.say(result["sentence"])
        output.result(result)
        return 0

    output.guarded(work)


async def _requested(data: Path, params: dict[str, Any], timeout_s: int, output: Output) -> dict[str, Any]:
    def tell(event: dict[str, Any]) -> None:
        about = [str(event[name]) for name in ("milestone", "peer", "energy_wh", "sentence") if name in event]
        output.say(f"  {event['kind']} {' '.join(about)}")

    try:
        async with asyncio.timeout(timeout_s):
            result: dict[str, Any] = await command(data, "request", params, tell)
            return result
    except TimeoutError:
        raise TimedOut(f"No trade was settled within {timeout_s} s; it goes on in the node.") from None
    except RemoteRefusal as refusal:
        if refusal.remote_exit_code == RefusedByLimit.exit_code:
            raise RefusedByLimit(refusal.sentence, **refusal.details) from None
        raise


def trades_command(data: DataOption, as_json: JsonOption = False) -> None:
    """The trades of the running node, newest last."""
    output = Output(as_json)

    def work() -> None:
        found = asyncio.run(command(data, "trades", {}))
        for trade in found:
            output.say(trade["sentence"])
        output.result({"trades": found})

    output.guarded(work)


def allow(
    peer: Annotated[str, typer.Argument(help="The stranger's node id, or how it begins if it has asked.")],
    data: DataOption,
    as_json: JsonOption = False,
) -> None:
    """Say yes to a stranger: it may trade with this node from now on."""
    output = Output(as_json)

    def work() -> None:
        allowed = asyncio.run(command(data, "allow", {"peer": peer}))
        output.say(f"{allowed} may trade with this node.")
        output.result({"allowed": allowed})

    output.guarded(work)


def stop(
    data: DataOption,
    request_id: Annotated[str, typer.Option(help="Only this session (its request id).")] = "",
    as_json: JsonOption = False,
) -> None:
    """Stop every delivery of the running node, now: power off first, settle after."""
    output = Output(as_json)

    def work() -> None:
        stopped = asyncio.run(command(data, "stop", {"request_id": request_id}))
        output.say(f"Stopped: {', '.join(stopped) or 'nothing was running'}.")
        output.result({"stopped": stopped})

    output.guarded(work)
