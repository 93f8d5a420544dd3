"""Each guard has a code of its own, and its source."""

import pytest

from v2xnode.power.guards import GUARDS, power_tolerance_w
from v2xnode.power.steps import FALLING, RISING, Step

ROWS = [row for sides in RISING.values() for rows in sides.values() for row in rows] + list(FALLING)
DISTINCT = {id(row): row for row in ROWS}.values()


def test_a_fault_code_names_one_step() -> None:
    steps: dict[str, set[Step]] = {}
    for row in DISTINCT:
        steps.setdefault(row.fault, set()).add(row.step)
    assert all(len(found) == 1 for found in steps.values())
    assert not set(steps) & {guard.code for guard in GUARDS}
    assert len({guard.code for guard in GUARDS}) == len(GUARDS)


@pytest.mark.parametrize(("power_w", "tolerance_w"), [(0, 50), (1_000, 50), (10_000, 300)])
def test_measurement_may_be_off_by_a_share_and_a_little(power_w: int, tolerance_w: int) -> None:
    assert power_tolerance_w(power_w, 30) == tolerance_w
