"""The control socket: commands in, events and one answer out, errors with their codes, bounded and private."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from v2xnode.control import (
    MAX_LINE_BYTES,
    SOCKET_FILE,
    RemoteRefusal,
    Tell,
    command,
    serving_control,
    socket_path,
)
from v2xnode.errors import LocalError, RefusedByLimit, Unreachable


async def dispatch(method: str, params: dict[str, Any], tell: Tell) -> Any:
    if method == "refuse":
        raise RefusedByLimit("Not below the reserve.", would_pass=5)
    if method == "hang":
        await asyncio.Event().wait()
    tell({"kind": "working"})
    return {"method": method, **params}


async def test_a_command_brings_events_and_its_result(tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    async with serving_control(tmp_path, dispatch):
        assert (tmp_path / SOCKET_FILE).stat().st_mode & 0o777 == 0o600
        result = await command(tmp_path, "greet", {"name": "x"}, heard.append)
    assert result == {"method": "greet", "name": "x"}
    assert heard == [{"kind": "working"}]
    assert not (tmp_path / SOCKET_FILE).exists()


async def test_an_error_keeps_its_code_and_values(tmp_path: Path) -> None:
    async with serving_control(tmp_path, dispatch):
        with pytest.raises(RemoteRefusal) as refusal:
            await command(tmp_path, "refuse", {})
    assert refusal.value.remote_exit_code == 4
    assert refusal.value.as_json() == {"code": "refused", "sentence": "Not below the reserve.", "would_pass": 5}


async def test_without_a_node_the_caller_is_told_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="v2xnode run"):
        await command(tmp_path, "greet", {})


async def test_a_node_that_stops_ends_the_commands_under_way(tmp_path: Path) -> None:
    async with serving_control(tmp_path, dispatch):
        waiting = asyncio.create_task(command(tmp_path, "hang", {}))
        await command(tmp_path, "greet", {})
    with pytest.raises(Unreachable, match="stopped"):
        await waiting


@pytest.mark.parametrize(
    "line",
    [
        b"{}\n",
        b"[1]\n",
        b'{"method": 5}\n',
        b'{"method": "x", "params": 3}\n',
        b"\xff\xfe\n",
        b"nonsense\n",
        pytest.param(b"[" * 200_000 + b"\n", id="deep"),
    ],
)
async def test_a_malformed_command_gets_an_error(tmp_path: Path, line: bytes) -> None:
    async with serving_control(tmp_path, dispatch):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / SOCKET_FILE))
        writer.write(line)
        answer = json.loads(await reader.readline())
        writer.close()
        await writer.wait_closed()
    assert answer["error"]["code"] == "malformed"
    assert answer["error"]["exit_code"] == 2


async def test_an_endless_line_is_dropped(tmp_path: Path) -> None:
    async with serving_control(tmp_path, dispatch):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / SOCKET_FILE))
        with pytest.raises(ConnectionError):  # noqa: PT012 - either call may see the end first
            for _ in range(8):
                writer.write(b"x" * MAX_LINE_BYTES)
                await writer.drain()
            if await reader.read() == b"":
                raise ConnectionResetError
        writer.close()


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="too long"):
        socket_path(tmp_path / ("x" * 120))
