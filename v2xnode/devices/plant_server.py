"""The plant as a process: serves its socket, and steps through world time by itself so that the log is never late.

`python -m v2xnode.devices.plant_server --socket PATH --world FILE.json --log FILE.jsonl --speed 5 --world-origin-ms N
--wall-origin-ns M`: world_ms = world origin + (monotonic wall now - wall origin) * speed, the same in every process.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from v2xnode.devices.errors import DeviceDataInvalid, DeviceError
from v2xnode.devices.plant.log import Entry
from v2xnode.devices.plant.plant import Plant
from v2xnode.devices.plant.requests import answer
from v2xnode.devices.plant.world import parse_world
from v2xnode.devices.plant_client import MAX_LINE_BYTES

MAX_CONNECTIONS = 64
"""A few for each node of a demonstration; more than that is a leak."""

LONGEST_NAP_S = 0.25
"""Real time between two looks at the world when nothing is due: a new permit may be due sooner than was known."""


@asynccontextmanager
async def serve_plant(plant: Plant, path: Path, now_ms: Callable[[], int], speed: int = 1) -> AsyncIterator[None]:
    """Serve `plant` at a socket that only this user may open, and keep it at world time.

    now_ms: the world clock, which runs `speed` times the real one. On leaving the socket is gone and every
    connection closed.
    """
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(connections) >= MAX_CONNECTIONS:
            writer.close()
            return
        connections.add(task)
        try:
            await _converse(plant, now_ms, reader, writer)
        except asyncio.CancelledError:
            pass  # the plant is stopping: the caller sees the connection end
        finally:
            connections.discard(task)
            writer.close()

    _remove(path)
    server = await _listen(connected, path)
    timer = asyncio.create_task(_tick(plant, now_ms, speed))
    try:
        yield
    finally:
        server.close()
        for task in (timer, *connections):
            task.cancel()
        await asyncio.gather(timer, *connections, return_exceptions=True)
        _remove(path)


def _remove(path: Path) -> None:
    """A socket that a killed process left behind would be in the way."""
    path.unlink(missing_ok=True)


async def _listen(
    connected: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object], path: Path
) -> asyncio.Server:
    before = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(connected, path, limit=MAX_LINE_BYTES)  # type: ignore[arg-type]
    finally:
        os.umask(before)


async def _tick(plant: Plant, now_ms: Callable[[], int], speed: int) -> None:
    """Advance when something is due, even when nobody asks."""
    while True:
        plant.advance(now_ms())
        due_s = (plant.next_event_ms() - now_ms()) / 1000 / speed
        await asyncio.sleep(min(max(due_s, 0.001), LONGEST_NAP_S))


async def _converse(
    plant: Plant, now_ms: Callable[[], int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer line after line until the other side leaves or sends what is no line."""
    while True:
        try:
            line = await reader.readline()
        except (OSError, ValueError):
            return
        if not line.endswith(b"\n"):
            return
        plant.advance(now_ms())
        writer.write(json.dumps(_reply(plant, line)).encode() + b"\n")
        try:
            await writer.drain()
        except OSError:
            return


def _reply(plant: Plant, line: bytes) -> dict[str, object]:
    try:
        return {"ok": answer(plant, _parse(line))}
    except DeviceError as error:
        return {"error": type(error).__name__, "code": error.code, "sentence": str(error)}


def _parse(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DeviceDataInvalid(f"The request is not JSON: {error}") from error


def world_clock(world_origin_ms: int, wall_origin_ns: int, speed: int) -> Callable[[], int]:
    """World time by the machine's monotonic clock, which all processes of one machine share."""

    def now_ms() -> int:
        return world_origin_ms + (time.monotonic_ns() - wall_origin_ns) * speed // 1_000_000

    return now_ms


async def run(arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT; prints one line once the socket is open."""
    world = parse_world(_parse(arguments.world.read_bytes()))
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    origin_ms = world.at_ms if arguments.world_origin_ms is None else arguments.world_origin_ms
    wall_ns = time.monotonic_ns() if arguments.wall_origin_ns is None else arguments.wall_origin_ns
    now_ms = world_clock(origin_ms, wall_ns, arguments.speed)
    with arguments.log.open("a", encoding="utf-8", buffering=1) as log:

        def sink(entry: Entry) -> None:
            log.write(json.dumps(entry) + "\n")

        plant = Plant(world, sink)
        async with serve_plant(plant, arguments.socket, now_ms, arguments.speed):
            print(f"plant at {arguments.socket}", flush=True)
            await ended.wait()
        plant.advance(now_ms())


def main(arguments: list[str] | None = None) -> int:
    """The process. Exit code 2 for a world file that is not one."""
    parser = argparse.ArgumentParser(prog="plant_server", description="The simulated world as a process.")
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--world", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--speed", type=int, default=1)
    parser.add_argument("--world-origin-ms", type=int, help="default: the world's own at_ms")
    parser.add_argument("--wall-origin-ns", type=int, help="monotonic; default: now")
    parsed = parser.parse_args(arguments)
    try:
        asyncio.run(run(parsed))
    except (DeviceDataInvalid, OSError) as error:
        print(f"plant_server: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
