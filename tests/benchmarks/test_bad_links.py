"""What the measurement of bad links makes of its samples; the links themselves are in tests/links."""

import json
from dataclasses import asdict

from benchmarks.bad_links import Measured, tables


def measured(loss_permille: int, known: bool, set_up_ms: list[int], stop_ms: list[int]) -> Measured:
    return Measured(
        loss_permille,
        known,
        set_up_ms=set_up_ms,
        stop_ms=stop_ms,
        ends={"energy_reached": 1, "unreachable": 1},
        asked=len(set_up_ms) + 1,
        completed=len(set_up_ms),
        settled_alike=len(set_up_ms),
    )


def test_budgets_are_held_against_the_figures_that_they_are_for() -> None:
    lossless = measured(0, True, [1_900, 2_300, 2_300], [])
    lossy = measured(100, False, [2_700] * 98 + [16_000, 17_000], [900] * 98 + [2_900, 3_100])
    set_ups, stops, _ = tables([lossless, lossy])
    assert [(row.what.split()[-3], row.ours, row.met) for row in set_ups.rows] == [
        ("p50", 2_300, False),
        ("p90", 2_300, None),
        ("p99", 2_300, None),
        ("p100", 2_300, None),
        ("p50", 2_700, None),
        ("p90", 2_700, None),
        ("p99", 16_000, False),
        ("p100", 17_000, None),
    ]
    assert [(row.ours, row.met) for row in stops.rows] == [(900, True), (900, None), (2_900, True), (3_100, None)]


def test_samples_can_be_kept() -> None:
    assert json.loads(json.dumps(asdict(measured(200, True, [5_000], [900]))))["ends"]["unreachable"] == 1


def test_what_did_not_end_as_meant_is_told() -> None:
    ended, alike = tables([measured(200, True, [5_000] * 3, [])])[2].rows
    assert ended.ours == 750
    assert "1 unreachable" in ended.what
    assert alike.ours == 1_000
