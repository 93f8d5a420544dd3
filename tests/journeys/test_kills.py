"""kill -9 of real processes on real files, at random moments of a trade, the settlement and the restart included.

`V2XNODE_KILLS` says how many (`make soak`: a hundred), `V2XNODE_SEED` from which seed on; a failure names its own.
"""

import asyncio
import os
import random
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from ledger.store.view import StoredEntry
from tests.support.acts import V2H, V2L, V2V, Act, Trading, car_park
from tests.support.processes import Scene, until
from v2xnode.cli.ledger import reading
from v2xnode.settling.trades import Trade, trades
from v2xnode.trading.remains import unheard

pytestmark = [pytest.mark.processes, pytest.mark.timeout(3_600)]

KILLS = int(os.environ.get("V2XNODE_KILLS", "6"))
FIRST_SEED = int(os.environ.get("V2XNODE_SEED", "1"))
AT_ONCE = 3
"""Trades side by side: more processes than these slow each other down until nothing is random any more."""
SPEED = 4
LONGEST_S = 9.0
"""Real time from the request within which a node is killed: a trade takes about as long."""
ENERGY_WH = 40
REST_S = 240.0
"""Real time in which everything has to be settled after the last start."""


async def one_kill(trading: Trading, chance: random.Random) -> None:
    """Ask for energy; kill one node or both at a random moment; start them again; wait until nothing is open."""
    stage, places = trading.stage, (trading.provider, trading.client)
    await stage.plug(trading.cable, *trading.terminals)
    asked = asyncio.create_task(trading.ask(ENERGY_WH))
    await asyncio.sleep(chance.uniform(0.0, LONGEST_S))
    doomed = chance.choice([places[:1], places[1:], places, places[::-1]])
    for place in doomed:
        await stage.leave(place, signal.SIGKILL)
        await asyncio.sleep(chance.choice([0.0, chance.uniform(0.0, 1.0)]))
    for place in doomed:
        await asyncio.sleep(chance.choice([0.0, chance.uniform(0.0, 3.0)]))
        await stage.start(place)
    for place in doomed:
        await stage.up(place)
    await asyncio.gather(asked, return_exceptions=True)
    for place in places:
        await until(f"{place} is at rest", lambda: _at_rest(stage, place) or None, REST_S)  # noqa: B023  # waited for here


def _at_rest(stage: Scene, place: str) -> bool:
    """A provider's last word may wait for ever to be asked for, where its client has heard it or never comes back."""
    with reading(stage.data(place)) as reader:
        return not reader.locks() and not unheard(reader)


def books_of(stage: Scene, place: str) -> tuple[list[StoredEntry], list[Trade]]:
    """All entries and all trades of a node's ledger."""
    with reading(stage.data(place)) as reader:
        entries: list[StoredEntry] = []
        while page := reader.page(after=entries[-1].position if entries else 0):
            entries += page
        return entries, trades(reader)


def check_nothing_lost(one: Sequence[StoredEntry], other: Sequence[StoredEntry]) -> None:
    """What a peer holds of a node's chain is in that chain: nothing that was told is lost, and nothing was signed
    twice."""
    own = {(each.entry.epoch, each.entry.seq): each.hash for each in one if each.own}
    for each in other:
        if not each.own:
            assert own.get((each.entry.epoch, each.entry.seq)) == each.hash


def check_agree(provider: Sequence[Trade], client: Sequence[Trade]) -> None:
    """Both tell the same of every trade that either has settled, and neither has one open."""
    ours, theirs = ({each.request_id: each for each in side} for side in (provider, client))
    for request_id in ours.keys() | theirs.keys():
        one, other = ours.get(request_id), theirs.get(request_id)
        states = {each.state for each in (one, other) if each is not None}
        assert states in ({"settled"}, {"void"}, {"rejected"}, {"void", "rejected"}), states
        if one is not None and other is not None:
            assert (one.agreed_wh, one.amounts_micro) == (other.agreed_wh, other.amounts_micro)


async def check(trading: Trading) -> None:
    await trading.check_evidence()
    provider, client = (books_of(trading.stage, each) for each in (trading.provider, trading.client))
    check_nothing_lost(provider[0], client[0])
    check_nothing_lost(client[0], provider[0])
    check_agree(provider[1], client[1])


@pytest.mark.parametrize("act", [V2V, V2H, V2L], ids=lambda act: act.service)
async def test_whatever_is_killed_when_both_ledgers_agree_and_no_power_flows_unpermitted(
    directory: Path, act: Act
) -> None:
    seeds = range(FIRST_SEED, FIRST_SEED + max(1, KILLS // 3))
    for first in range(0, len(seeds), AT_ONCE):
        batch = seeds[first : first + AT_ONCE]
        place = directory / str(first)
        place.mkdir()
        async with car_park(place, act, [f"-{seed}" for seed in batch], speed=SPEED) as all_of_them:

            async def play(trading: Trading, seed: int) -> None:
                try:
                    await one_kill(trading, random.Random(seed * 3 + len(act.service)))
                    await check(trading)
                except AssertionError as problem:
                    raise AssertionError(f"{act.service}, V2XNODE_KILLS=3 V2XNODE_SEED={seed}: {problem}") from problem

            await asyncio.gather(*(play(each, seed) for each, seed in zip(all_of_them, batch, strict=True)))
