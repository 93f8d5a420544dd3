"""The plant as a process: its socket, its own timer, its log."""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from market.terms import Profile
from tests.support.power_harness import make_world
from v2xnode.devices.errors import DeviceDataInvalid, DeviceUnreachable
from v2xnode.devices.interface import Close, Direction, Permit
from v2xnode.devices.plain import to_plain
from v2xnode.devices.plant.plant import Plant
from v2xnode.devices.plant_client import MAX_LINE_BYTES, connect_plant
from v2xnode.devices.plant_server import MAX_CONNECTIONS, main, serve_plant, world_clock


async def test_only_this_user_may_open_the_socket_and_it_is_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "plant.sock"
    async with serve_plant(Plant(make_world(Profile.DC_BPT)), path, lambda: 0):
        assert os.stat(path).st_mode & 0o077 == 0
    assert os.listdir(tmp_path) == []
    with pytest.raises(DeviceUnreachable):
        async with connect_plant(str(path)):
            pass


async def test_a_permit_that_runs_out_is_logged_at_its_millisecond_though_nobody_asks(tmp_path: Path) -> None:
    path = tmp_path / "plant.sock"
    ran_out = asyncio.Event()

    def sink(entry: dict[str, object]) -> None:
        if entry["what"] == "permit_ended":
            ran_out.set()

    plant = Plant(make_world(Profile.DC_CONVERTER), sink)
    async with serve_plant(plant, path, world_clock(0, time.monotonic_ns(), 10), 10):
        plant.command("p1", [Permit(100, Direction.OUT, 777), Close()])
        until_ms = plant.log.of("permit")[0]["until_ms"]
        await asyncio.wait_for(ran_out.wait(), 5)
    opened = plant.log.of("contactor", "p1")[-1]
    assert (opened["at_ms"], opened["closed"], opened["why"]) == (until_ms, False, "permit_ran_out")


@pytest.mark.parametrize(
    "line", [b"{\n", b"[]\n", b'{"op":"sense"}\n', b'{"op":"explode"}\n', b"\xff\n", b"[" * 9_000 + b"\n"]
)
async def test_a_bad_line_gets_a_coded_error_and_the_connection_lives(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "plant.sock"
    async with serve_plant(Plant(make_world(Profile.DC_BPT)), path, lambda: 0):
        reader, writer = await asyncio.open_unix_connection(path)
        for sent, wanted in ((line, "error"), (b'{"op":"report"}\n', "ok")):
            writer.write(sent)
            assert wanted in json.loads(await reader.readline())
        writer.close()
        await writer.wait_closed()


async def test_a_line_above_the_limit_ends_the_connection(tmp_path: Path) -> None:
    path = tmp_path / "plant.sock"
    async with serve_plant(Plant(make_world(Profile.DC_BPT)), path, lambda: 0):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"x" * (2 * MAX_LINE_BYTES))
        assert await reader.read() == b""
        writer.close()


async def test_connections_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "plant.sock"
    async with serve_plant(Plant(make_world(Profile.DC_BPT)), path, lambda: 0):
        held = [await asyncio.open_unix_connection(path) for _ in range(MAX_CONNECTIONS)]
        held[-1][1].write(b'{"op":"report"}\n')
        await held[-1][0].readline()
        reader, extra = await asyncio.open_unix_connection(path)
        assert await reader.read() == b""
        for _, writer in [*held, (reader, extra)]:
            writer.close()


def test_the_world_clock_runs_at_its_speed_from_its_origin() -> None:
    wall_ns = time.monotonic_ns() - 2_000_000_000
    assert 1_010_000 <= world_clock(1_000_000, wall_ns, 5)() < 1_020_000


def test_a_world_that_is_none_is_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = tmp_path / "world.json"
    world.write_text('{"batteries": {}, "moon": 1}')
    code = main(["--socket", str(tmp_path / "s"), "--world", str(world), "--log", str(tmp_path / "log")])
    assert code == 2
    assert "moon" in capsys.readouterr().err


@pytest.mark.processes
async def test_the_process_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    world, log, path = tmp_path / "world.json", tmp_path / "log.jsonl", tmp_path / "plant.sock"
    world.write_text(json.dumps(to_plain(make_world(Profile.DC_BPT))))
    arguments = ["--socket", str(path), "--world", str(world), "--log", str(log), "--speed", "10"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "v2xnode.devices.plant_server", *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert b"plant at" in await asyncio.wait_for(process.stdout.readline(), 20)
    async with connect_plant(str(path)) as plant:
        await plant.ask({"op": "plug", "cable": "w1", "provider": "p1", "client": None})
        with pytest.raises(DeviceDataInvalid):
            await plant.ask({"op": "plug", "cable": "w1", "provider": 1, "client": None})
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 10) == 0
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry["what"] for entry in entries] == ["plug"]
