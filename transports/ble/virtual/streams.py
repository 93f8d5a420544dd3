"""Where the air listens: `unix:/run/air.sock` or `tcp:127.0.0.1:7700`."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from transports.errors import LocalTransportError

Met = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

CHUNK_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Place:
    """One end of a local stream: either a path, or a host and a port (0 for any free one)."""

    path: str | None = None
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        return f"tcp:{self.host}:{self.port}" if self.path is None else f"unix:{self.path}"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Raises OSError."""
        if self.path is not None:
            return await asyncio.open_unix_connection(self.path)
        return await asyncio.open_connection(self.host, self.port)

    async def listen(self, met: Met) -> tuple[asyncio.Server, "Place"]:
        """A server, and where it listens in fact. Raises OSError."""
        if self.path is not None:
            return await asyncio.start_unix_server(met, self.path), self
        server = await asyncio.start_server(met, self.host, self.port)
        return server, Place(host=self.host, port=int(server.sockets[0].getsockname()[1]))


def parse_place(text: str) -> Place:
    """Raises LocalTransportError."""
    kind, _, rest = text.partition(":")
    if kind == "unix" and rest:
        return Place(path=rest)
    host, _, port = rest.rpartition(":")
    if kind == "tcp" and host and port.isascii() and port.isdigit() and int(port) <= 65_535:
        return Place(host=host, port=int(port))
    raise LocalTransportError(f"{text!r} is no place of a virtual air: unix:/run/air.sock or tcp:127.0.0.1:7700")
