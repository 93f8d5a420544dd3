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
    """One connection; callers take turns. After a time-out or a cancelled request it is lost for good, because the
    answer that is still under way would be taken for that of the next request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._turn = asyncio.Lock()
        self._lost = False

    async def ask(self, request: Mapping[str, Any]) -> Any:
        """Send one request and wait for its answer. Raises the plant's DeviceError, or DeviceUnreachable."""
        async with self._turn:
            if self._lost:
                raise DeviceUnreachable("The connection to the plant was lost.")
            self._lost = True
            line = await self._exchange(json.dumps(request).encode() + b"\n")
            self._lost = False
        return _unwrap(line)

    async def _exchange(self, line: bytes) -> bytes:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                self._writer.write(line)
                await self._writer.drain()
                answer = await self._reader.readline()
        except (OSError, ValueError, TimeoutError) as error:
            raise DeviceUnreachable(f"The plant does not answer: {error!r}.") from error
        if not answer.endswith(b"\n"):
            raise DeviceUnreachable("The plant ended the connection.")
        return answer

    async def aclose(self) -> None:
        """Let go; idempotent."""
        self._lost = True
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            return


@asynccontextmanager
async def connect_plant(path: str) -> AsyncIterator[PlantSocket]:
    """A connection to the plant that serves at `path`. Raises DeviceUnreachable."""
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=MAX_LINE_BYTES)
    except OSError as error:
        raise DeviceUnreachable(f"No plant serves at {path}: {error}.") from error
    socket = PlantSocket(reader, writer)
    try:
        yield socket
    finally:
        await socket.aclose()


def _unwrap(line: bytes) -> Any:
    try:
        answer = json.loads(line)
    except ValueError as error:
        raise DeviceDataInvalid(f"The plant's answer is not JSON: {error}") from error
    if isinstance(answer, dict) and answer.keys() == {"ok"}:
        return answer["ok"]
    if isinstance(answer, dict) and answer.keys() == {"error", "code", "sentence"}:
        raise FAMILY.get(answer["error"], DeviceError)(str(answer["sentence"]), str(answer["code"]))
    raise DeviceDataInvalid(f"The plant's answer is neither result nor error: {line[:80]!r}")
