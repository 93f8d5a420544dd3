"""World time runs at its speed; speeds that would outrun a power permit are refused."""

import asyncio

import pytest

from tests.support.virtual_time import VirtualTimeLoop
from v2xnode.clock import MAX_SPEED, Clock, loop_clock, trusted
from v2xnode.errors import ConfigError


def fixed(speed: int, real_s: float) -> Clock:
    return Clock(speed, 1_000_000, 0, lambda: real_s, lambda: real_s)


def test_world_time_is_real_time_times_speed() -> None:
    assert fixed(5, 2.0).wall_ms() == 1_000_000 + 10_000
    assert fixed(5, 2.0).monotonic_ms() == 10_000
    assert fixed(5, 2.0).link_ms() == 2_000


@pytest.mark.parametrize("speed", [0, -1, MAX_SPEED + 1])
def test_a_speed_that_outruns_a_permit_is_refused(speed: int) -> None:
    with pytest.raises(ConfigError, match="refused"):
        fixed(speed, 0)


def test_sleeping_takes_world_time() -> None:
    async def scenario() -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        clock = loop_clock(loop, 0, speed=4)
        began_real, began_world = loop.time(), clock.monotonic_ms()
        await clock.sleep_ms(8_000)
        return clock.monotonic_ms() - began_world, loop.time() - began_real

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        world_ms, real_s = runner.run(scenario())
    assert world_ms == pytest.approx(8_000, abs=2)
    assert real_s == pytest.approx(2.0, abs=0.01)


def test_a_machine_that_booted_in_1970_has_no_trusted_clock() -> None:
    assert not trusted(3_600_000)
    assert trusted(1_795_000_000_000)
