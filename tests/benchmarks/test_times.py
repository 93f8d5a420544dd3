"""What the benchmark of times makes of its figures, and one trade of each kind."""

import pytest

from benchmarks.times import CONTROL_MS, Measured, measure, table


def test_medians_and_slow_ends_stand_beside_their_limits() -> None:
    rows = table(Measured([30, 10, 20], [50, 40], [2_000, 1, 3])).rows
    assert [row.ours for row in rows] == [20, 30, 45, 50, 3, 2_000]
    assert [row.met for row in rows] == [True, True, True, True, True, False]
    assert rows[-1].other == CONTROL_MS


@pytest.mark.processes
async def test_each_trade_gives_a_set_up_and_a_stop() -> None:
    found = await measure(trades=2)
    assert (len(found.known_ms), len(found.strangers_ms), len(found.stops_ms)) == (1, 1, 2)
    assert min(found.known_ms + found.strangers_ms) > 0
