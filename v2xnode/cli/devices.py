"""`v2xnode devices ...`: which drivers are installed, and a simulated world to try them against."""

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from v2xnode.cli.output import JsonOption, Output

app = typer.Typer(no_args_is_help=True, help="Device drivers, and a simulated world.")


@app.command("list")
def list_command(as_json: JsonOption = False) -> None:
    """The device drivers that are installed here."""
    output = Output(as_json)

    def work() -> None:
        from v2xnode.devices.registry import driver_names

        for name in driver_names():
            output.say(name)
        output.result({"drivers": list(driver_names())})

    output.guarded(work)


@app.command("plant")
def plant_command(
    socket: Annotated[Path, typer.Option(help="Where nodes reach the plant.")],
    log: Annotated[Path | None, typer.Option(help="Write the plant's log here, one JSON object a line.")] = None,
) -> None:
    """Run the simulated world until interrupted: two cars plugged together, a house, and a cabin plugged to a car."""
    output = Output(False)

    def work() -> int:
        from v2xnode.cli.demo.world import demo_world
        from v2xnode.devices.plain import to_plain
        from v2xnode.devices.plant_server import main as serve

        now_ms = int(time.time() * 1000)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as world:
            json.dump(to_plain(demo_world(now_ms, plugged=True)), world)
            world.flush()
            return serve(["--socket", str(socket), "--world", world.name, "--log", str(log or os.devnull)])

    output.guarded(work)
