"""The door for commands on this machine: one JSON object a line over a UNIX socket in the data directory.

The socket belongs to the owner alone (0600). A request is `{"method": ..., "params": {...}}`; the answer is any
number of `{"event": {...}}` lines, then one `{"result": ...}` or `{"error": {...}}` line.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

from v2xnode.errors import LocalError, NodeError, Unreachable, UsageError

SOCKET_FILE = "control.sock"
MAX_LINE_BYTES = 1_048_576
"""A long list of trades fits; nothing larger is answered or read."""
MAX_CALLERS = 32
"""Commands under way at once; a person starts a few, a runaway script is refused."""
MAX_SOCKET_PATH = 104
"""The shortest limit among the systems that have UNIX sockets (sun_path)."""

Tell = Callable[[dict[str, Any]], None]
Dispatch = Callable[[str, dict[str, Any], Tell], Awaitable[Any]]


def socket_path(data: Path) -> Path:
    """Where the control socket of this data directory is. Raises LocalError when the path is too long for a socket."""
    path = data / SOCKET_FILE
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise LocalError(f"{data} is too long a path for a socket: choose a shorter --data.", code="path_too_long")
    return path


@asynccontextmanager
async def serving_control(data: Path, dispatch: Dispatch) -> AsyncIterator[None]:
    """Answer commands with `dispatch` until the context ends; callers still waiting then lose their connection."""
    path = socket_path(data)
    path.unlink(missing_ok=True)  # left by a killed node: the data directory's lock says that nobody owns it
    callers: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast(asyncio.Task[None], asyncio.current_task())
        callers.add(task)
        try:
            await _answer(reader, writer, dispatch, busy=len(callers) > MAX_CALLERS)
        except asyncio.CancelledError:
            pass  # the node is stopping: the caller sees the connection end
        finally:
            callers.discard(task)
            writer.close()

    old_mask = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(serve, path=str(path), limit=MAX_LINE_BYTES)
    finally:
        os.umask(old_mask)
    try:
        yield
    finally:
        server.close()
        for task in list(callers):
            task.cancel()
        if callers:
            await asyncio.wait(callers)
        path.unlink(missing_ok=True)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, dispatch: Dispatch, busy: bool) -> None:
    def tell(event: dict[str, Any]) -> None:
        if not writer.is_closing():
            writer.write(_line({"event": event}))

    try:
        if busy:
            raise LocalError("Too many commands at once.", code="busy")
        method, params = _read(await reader.readuntil(b"\n"))
        answer = {"result": await dispatch(method, params, tell)}
    except NodeError as problem:
        answer = {"error": {"exit_code": problem.exit_code, **problem.as_json()}}
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        return
    with suppress(ConnectionError):
        writer.write(_line(answer))
        await writer.drain()


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _read(line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        message = json.loads(line)
        method, params = message["method"], message.get("params", {})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UsageError("A command is one JSON object with a method.", code="malformed") from None
    if not isinstance(method, str) or not isinstance(params, dict):
        raise UsageError("A command has a method's name and an object of parameters.", code="malformed")
    return method, params


class RemoteRefusal(NodeError):
    """The running node answered with an error; it carries that error's own code and exit code."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(str(error.pop("sentence", "The node refused.")))
        self.remote_exit_code = int(error.pop("exit_code", 1))
        self.details = error


async def command(data: Path, method: str, params: dict[str, Any], tell: Tell | None = None) -> Any:
    """Give one command to the node that runs on `data` and return its result; its events go to `tell`.

    Raises Unreachable when no node runs there, RemoteRefusal when it answered with an error.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket_path(data)), limit=MAX_LINE_BYTES)
    except OSError:
        raise Unreachable(
            f"No node is running on {data}: start it with `v2xnode run --data {data}`.", code="not_running"
        ) from None
    try:
        writer.write(_line({"method": method, "params": params}))
        await writer.drain()
        while line := await reader.readline():
            message = json.loads(line)
            if "event" not in message:
                return _result(message)
            if tell is not None:
                tell(message["event"])
    except ConnectionError:
        pass
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    raise Unreachable("The node stopped before it answered.", code="node_stopped")


def _result(message: dict[str, Any]) -> Any:
    if "error" in message:
        raise RemoteRefusal(message["error"])
    return message["result"]
