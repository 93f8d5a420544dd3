"""A node that is stopped, or killed, in the middle of a delivery: power is off in time, and the books stay whole.

The world runs at real speed, and a power permit lives 3,000 ms of it. The evidence is the plant's log.
"""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.support.acts import V2H, V2L, V2V, Act, Trading, car_park
from tests.support.commands import ran
from v2xnode.clock import PERMIT_LIFE_MS

pytestmark = [pytest.mark.processes, pytest.mark.timeout(100)]

STOP_MS = 1_000
"""World time within which the owner's own Stop takes effect (safety: the owner decides)."""
UNDER_WAY_MS = 200
"""A permit that a node asked for just before it was killed may be heard this much later on a busy machine."""


async def terminated(trading: Trading, who: str, other: str) -> None:
    """SIGTERM: power off first, and the peer, who lives, settles."""
    stage, since_ms = trading.stage, trading.stage.now_ms()
    assert await stage.leave(who, signal.SIGTERM) == 0
    assert await trading.dead_since_ms() <= since_ms + PERMIT_LIFE_MS
    await trading.settled()
    assert await trading.unreceipted_wh(other) <= trading.act.exposure_wh


async def killed(trading: Trading, who: str, other: str) -> None:
    """SIGKILL: off when the permit runs out; without one, where a blackout is the greater harm, at the exposure."""
    act, stage = trading.act, trading.stage
    await stage.leave(who, signal.SIGKILL)
    gone_ms = stage.now_ms()
    dead_ms = await trading.dead_since_ms()
    unreceipted_wh = await trading.unreceipted_wh(other)
    assert unreceipted_wh <= act.exposure_wh
    if who == trading.provider or act.client_holds_permit:
        assert dead_ms <= gone_ms + PERMIT_LIFE_MS + UNDER_WAY_MS
    else:
        assert unreceipted_wh >= act.exposure_wh - 1  # a meter that shows whole Wh keeps one back
        cut = await stage.command(other, "events", kind="power_cut")
        assert [each["code"] for each in cut] == ["exposure_reached"]


@pytest.mark.parametrize("act", [V2V, V2H, V2L], ids=lambda act: act.service)
async def test_a_node_stopped_in_the_middle_leaves_power_off_and_books_whole(directory: Path, act: Act) -> None:
    async with car_park(directory, act, ("-term-p", "-term-c", "-kill-p", "-kill-c")) as all_four:

        async def play(trading: Trading) -> None:
            places = [trading.provider, trading.client]
            who, other = places if trading.provider.endswith("-p") else reversed(places)
            async with trading.flowing():
                await (terminated if "-term-" in who else killed)(trading, who, other)
            await trading.check_evidence()

        await asyncio.gather(*map(play, all_four))


async def test_stop_takes_effect_within_a_second_and_settles(directory: Path) -> None:
    async with car_park(directory, V2V, ("-cli", "-p", "-c")) as (by_program, by_provider, by_client):

        async def play(trading: Trading, who: str) -> None:
            async with trading.flowing():
                since_ms = trading.stage.now_ms()
                if trading is by_program:
                    data = trading.stage.data(who)
                    printed = await asyncio.to_thread(ran, ["v2xnode", "stop", "--data", data])
                    assert (printed.returncode, printed.stdout) == (0, f"Stopped: {trading.request_id}.\n")
                    since_ms = trading.stage.now_ms()  # the program itself takes longer to start
                else:
                    assert await trading.stage.command(who, "stop") == [trading.request_id]
                assert await trading.dead_since_ms() <= since_ms + STOP_MS
                await trading.settled()
            await trading.check_evidence()

        await asyncio.gather(
            play(by_program, by_program.provider),
            play(by_provider, by_provider.provider),
            play(by_client, by_client.client),
        )
