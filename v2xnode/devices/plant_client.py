"""The plant behind a local socket: one JSON object a line, one request, one answer, in order."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from v2xnode.devices.errors import DeviceDataInvalid, DeviceError, DeviceRefused, DeviceUnknown, DeviceUnreachable

MAX_LINE_BYTES = 16_384
"""One request or answer: sixteen commands or a report on a street's cables, with room."""

ANSWER_TIMEOUT_S = 2.0
"""Real time. A local process that is silent for longer hangs; the permits run out meanwhile."""

FAMILY: dict[str, type[DeviceError]] = {
    kind.__name__: kind for kind in (DeviceError, DeviceRefused, DeviceUnknown, DeviceDataInvalid)
}


class PlantSocket:
    """A way to the plant at a path; callers take turns. After a time-out or a cancelled request the connection is
    given up, because the answer still under way would be taken for the next request's; the next one connects anew."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._turn = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._closed = False

    async def ask(self, request: Mapping[str, Any]) -> Any:
        """Send one request and wait for its answer. Raises the plant's DeviceError, or DeviceUnreachable."""
        async with self._turn:
            streams = await self._connected()
            self._streams = None
            try:
                line = await self._exchange(*streams, json.dumps(request).encode() + b"\n")
            except BaseException:
                streams[1].close()
                raise
            self._streams = streams
        return _unwrap(line)

    async def connect(self) -> None:
        """Be connected. Raises DeviceUnreachable."""
        async with self._turn:
            self._streams = await self._connected()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._closed:
            raise DeviceUnreachable("This way to the plant is closed.")
        if self._streams is not None:
            return self._streams
        try:
            return await asyncio.open_unix_connection(self._path, limit=MAX_LINE_BYTES)
        except OSError as error:
            raise DeviceUnreachable(f"No plant serves at {self._path}: {error}.") from error

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: bytes) -> bytes:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                writer.write(line)
                await writer.drain()
                answer = await reader.readline()
        except (OSError, ValueError, TimeoutError) as error:
            raise DeviceUnreachable(f"The plant does not answer: {error!r}.") from error
        if not answer.endswith(b"\n"):
            raise DeviceUnreachable("The plant ended the connection.")
        return answer

    async def aclose(self) -> None:
        """Let go; idempotent."""
        self._closed = True
        streams, self._streams = self._streams, None
        if streams is None:
            return
        streams[1].close()
        try:
            await streams[1].wait_closed()
        except OSError:
            return


@asynccontextmanager
async def connect_plant(path: str) -> AsyncIterator[PlantSocket]:
    """A connection to the plant that serves at `path`. Raises DeviceUnreachable."""
    socket = PlantSocket(path)
    await socket.connect()
    try:
        yield socket
    finally:
        await socket.aclose()


def _unwrap(line: bytes) -> Any:
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DeviceDataInvalid(f"The plant's answer is not JSON: {error}") from error
    if isinstance(answer, dict) and answer.keys() == {"ok"}:
        return answer["ok"]
    if isinstance(answer, dict) and answer.keys() == {"error", "code", "sentence"}:
        raise FAMILY.get(answer["error"], DeviceError)(str(answer["sentence"]), code=str(answer["code"]))
    raise DeviceDataInvalid(f"The plant's answer is neither result nor error: {line[:80]!r}")
