"""A plant that misbehaves: the client says so once and never takes one answer for another."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from v2xnode.devices.errors import DeviceDataInvalid, DeviceUnreachable
from v2xnode.devices.plant_client import MAX_LINE_BYTES, PlantSocket, connect_plant

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@asynccontextmanager
async def talking_to(talk: Talk, path: Path) -> AsyncIterator[PlantSocket]:
    server = await asyncio.start_unix_server(talk, path)
    async with server, connect_plant(str(path)) as plant:
        yield plant


def saying(answer: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        writer.close()

    return talk


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", DeviceUnreachable),
        (b"x" * (2 * MAX_LINE_BYTES), DeviceUnreachable),
        (b"what?\n", DeviceDataInvalid),
        (b'{"ok":1,"error":2}\n', DeviceDataInvalid),
    ],
)
async def test_nonsense_is_an_error_of_ours(tmp_path: Path, answer: bytes, error: type[Exception]) -> None:
    async with talking_to(saying(answer), tmp_path / "s") as plant:
        with pytest.raises(error):
            await plant.ask({"op": "report"})


async def test_a_cancelled_request_loses_the_connection_rather_than_mix_up_answers(tmp_path: Path) -> None:
    asked, leave = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        asked.set()
        await leave.wait()
        writer.close()

    async with talking_to(silent, tmp_path / "s") as plant:
        request = asyncio.create_task(plant.ask({"op": "report"}))
        await asked.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        with pytest.raises(DeviceUnreachable):
            await plant.ask({"op": "report"})
        leave.set()
