"""A trade in which a process dies at each of its commits, one after the other."""

import os

import pytest

from market.units import Service
from tests.simulation.plan import Plan, Purchase, Trouble
from tests.simulation.run import play
from tests.simulation.world import World

ALL = os.environ.get("V2XNODE_EVERY_COMMIT") == "1"
"""`make soak`: at each of them."""
POINTS = 8
"""Otherwise about so many of each side, spread over the trade."""
TRADE = Plan((Service.V2V,), (Purchase(0.0, "car_b", Service.V2V, 5),))


def commits_of(place: str) -> int:
    """In the trade with nothing in its way."""
    worlds: list[World] = []

    def make(seed: int) -> World:
        worlds.append(World(seed, TRADE))
        return worlds[0]

    assert not play(1, make).broken
    life = worlds[0].bodies[place].life
    assert life is not None
    return life.writer.commits


def dying(place: str, kind: str, point: float) -> World:
    """point: so many commits are written; a half more: and the next is about to be."""
    return World(1, Plan(TRADE.services, TRADE.purchases, (Trouble(0.0, kind, (place,), point),)))


@pytest.mark.parametrize("place", ["car_a", "car_b"])
def test_whoever_dies_at_whichever_commit_the_trade_comes_to_one_end(place: str) -> None:
    """Right before a commit, and right after it, when nobody has heard of it yet."""
    every = range(1, 2 * commits_of(place) + 1)
    assert len(every) > 10
    for half in every if ALL else every[:: len(every) // POINTS]:
        outcome = play(1, lambda _: dying(place, "kill_at_commit", half / 2))  # noqa: B023  # played at once
        assert any("dies" in line for line in outcome.trace), f"{half / 2} commits of {place} were never reached"
        assert not outcome.broken, f"{half / 2} commits of {place}: {outcome.broken}"
