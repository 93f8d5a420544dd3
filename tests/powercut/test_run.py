"""Promise 1 of the ledger, over the real store and real files: nothing that was acknowledged is lost, and nobody forks
himself. `make powercut` does much more of it."""

from __future__ import annotations

import pytest

from tests.powercut.run import NORMAL, Plan, counted, deaths, found, outcomes
from tests.powercut.story import LIVES, How

pytestmark = pytest.mark.timeout(600)  # some seconds each, on a machine that does nothing else

CUTS = 60
KILLS = 20
UPGRADES = 20
WITHIN = 200
"""Stories within which a store that was weakened is found out. One in three forks itself."""
AT_ONCE = 4

Environment = dict[str, str]


def test_power_cuts_lose_nothing_that_was_told_or_acknowledged_and_fork_nobody(shimmed: Environment) -> None:
    played = outcomes(Plan(How.CUT, CUTS), shimmed)
    assert not found(played), [each for each in played if each.found]
    seen = counted(played)
    assert deaths(played) == CUTS
    assert seen["dropped"] >= CUTS // 10, "power cuts that take nothing back prove nothing"
    assert seen["logs recovered"] >= CUTS // 2, "SQLite's log was hardly ever read back"


def shows(environment: Environment, how: How, setting: str, *wrong: str) -> bool:
    """Whether one of these is found in the first stories: they have the seeds of the others, and only this setting is
    another."""
    plans = (Plan(how, AT_ONCE * LIVES, setting, first) for first in range(1, WITHIN, AT_ONCE))
    return any(found(outcomes(plan, environment)).keys() & set(wrong) for plan in plans)


def test_the_same_cuts_with_synchronous_normal_make_honest_nodes_fork_themselves(shimmed: Environment) -> None:
    assert shows(shimmed, How.CUT, NORMAL, "forked")


def test_kills_at_labelled_points_lose_nothing_and_fork_nobody(shimmed: Environment) -> None:
    played = outcomes(Plan(How.KILL, KILLS), shimmed)
    assert not found(played), [each for each in played if each.found]
    assert counted(played)["logs recovered"] >= KILLS // 2


def test_kills_are_seen_where_a_commit_is_not_one(shimmed: Environment) -> None:
    """Without a journal a process that dies in a commit leaves half of it."""
    assert shows(shimmed, How.KILL, "journal_mode=OFF", "broken: store", "unsound: corrupt")


def test_a_migration_that_is_cut_leaves_the_old_ledger_or_the_new_one_with_a_copy_of_the_old(
    shimmed: Environment,
) -> None:
    played = outcomes(Plan(How.UPGRADE, UPGRADES), shimmed)
    assert not found(played), [each for each in played if each.found]
    assert counted(played)["dropped"] >= UPGRADES // 10
    assert counted(played)["upgraded"] >= len(played)
