"""The tables go in order, are bounded, and prove before they energise."""

from v2xnode.power.guards import GUARDS
from v2xnode.power.profiles import PROFILES
from v2xnode.power.steps import FALLING, RISING, Row, Step

ROWS = [row for sides in RISING.values() for rows in sides.values() for row in rows] + list(FALLING)
DISTINCT = {id(row): row for row in ROWS}.values()
ENERGISING = (Step.OWN_PRECHARGE, Step.OWN_CLOSE, Step.PRECHARGE, Step.LIVE, Step.CLOSE)


def test_every_row_names_its_source_and_is_bounded() -> None:
    assert all(row.source for row in DISTINCT)
    assert all(guard.source for guard in GUARDS)
    assert all(0 <= row.limit_ms <= 120_000 for row in DISTINCT)


def test_every_way_up_goes_in_order_and_proves_the_plug_before_it_energises() -> None:
    def index(rows: tuple[Row, ...], step: Step) -> int:
        return [row.step for row in rows].index(step)

    for profile, sides in RISING.items():
        for is_master, rows in sides.items():
            steps = [row.step for row in rows]
            assert len(set(steps)) == len(steps)
            allowed = index(rows, Step.ALLOWED)
            assert index(rows, Step.LOCK) < index(rows, Step.PATTERN) < index(rows, Step.VERIFY) < allowed
            assert all(index(rows, step) > allowed for step in steps if step in ENERGISING)
            assert not any(row.energises for row in rows[:allowed])
            if PROFILES[profile].dc:
                assert index(rows, Step.CABLE_CHECK) < allowed
            elif is_master:
                assert index(rows, Step.EARTH) < index(rows, Step.RCD) < allowed
