"""What joins the demonstration's nodes: their tables of the configuration, and what has to run beside them."""

import asyncio
import importlib.util
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from v2xnode.cli.demo.process import ended
from v2xnode.errors import LocalError
from v2xnode.identity import load_identity

Bearer = Literal["coap", "ble", "libp2p"]
Tables = Mapping[str, Any]
HOST = "127.0.0.1"
AIR_START_S = 60.0
"""Real time for the air's process to start on a slow or busy machine."""


def joined(bearer: Bearer, directory: Path, places: Sequence[str]) -> AbstractAsyncContextManager[Mapping[str, Tables]]:
    """The tables of each place, for as long as the context lasts. Their data directories have their keys already."""
    return _JOINED[bearer](directory, places)


@asynccontextmanager
async def _coap(directory: Path, places: Sequence[str]) -> AsyncIterator[Mapping[str, Tables]]:
    """Discovery on a port of its own, so that the story is not joined by other nodes of this machine."""
    tables = {"coap": {"loopback": True, "discovery_port": _free_port(socket.SOCK_DGRAM)}}
    yield dict.fromkeys(places, tables)


@asynccontextmanager
async def _ble(directory: Path, places: Sequence[str]) -> AsyncIterator[Mapping[str, Tables]]:
    async with virtual_air(directory) as air:
        tables = {"coap": {"enabled": False}, "ble": air}
        yield dict.fromkeys(places, tables)


@asynccontextmanager
async def virtual_air(directory: Path) -> AsyncIterator[Tables]:
    """A process in which each node has a controller; everything above is real. Its table; `air-control.sock` beside it
    takes orders (see `transports.ble.virtual.air`)."""
    if importlib.util.find_spec("bumble") is None:
        raise LocalError("BLE without a radio needs v2xnode[virtual-ble].", code="bearer_unavailable")
    air = f"unix:{directory / 'air.sock'}"
    with (directory / "air.log").open("wb") as log:
        words = ("-m", "transports.ble.virtual.air", air, "--control", f"unix:{directory / 'air-control.sock'}")
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=pipe, stderr=log)
        async with ended(process):
            await _says_where(process, directory / "air.log")
            yield {"enabled": True, "air": air}


async def _says_where(process: asyncio.subprocess.Process, log: Path) -> None:
    if process.stdout is None:
        raise AssertionError("its stdout is a pipe")
    try:
        async with asyncio.timeout(AIR_START_S):
            line = await process.stdout.readline()
    except TimeoutError:
        line = b""
    if not line:
        raise LocalError(f"The virtual air did not start: see {log}.", code="air_failed")


@asynccontextmanager
async def _libp2p(directory: Path, places: Sequence[str]) -> AsyncIterator[Mapping[str, Tables]]:
    """Each node on a port of its own, told of the others as sites are told of each other."""
    try:
        from transports.libp2p import peer_id

        ports = {place: _free_port(socket.SOCK_STREAM) for place in places}
        keys = {place: peer_id(load_identity(directory / place).public) for place in places}
    except ImportError as problem:
        raise LocalError(f"libp2p needs v2xnode[libp2p]: {problem}", code="bearer_unavailable") from None
    where = {place: f"/ip4/{HOST}/tcp/{ports[place]}/p2p/{keys[place]}" for place in places}
    others = {place: [address for other, address in where.items() if other != place] for place in places}
    yield {place: {"coap": {"enabled": False}, "libp2p": _site(ports[place], others[place])} for place in places}


def _site(port: int, bootstrap: Sequence[str]) -> Tables:
    return {"enabled": True, "host": HOST, "port": port, "fixed": True, "bootstrap": list(bootstrap)}


def _free_port(kind: int) -> int:
    """A port that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


_JOINED = {"coap": _coap, "ble": _ble, "libp2p": _libp2p}
