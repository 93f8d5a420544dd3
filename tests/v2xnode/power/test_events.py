import pytest

from market.terms import Profile
from market.units import Role
from v2xnode.devices.interface import MAX_PERMIT_MS
from v2xnode.power.events import WELD_LIMIT_MV, Begin, PathLimits

LIMITS = PathLimits(200_000, 500_000, 32_000, 7_000)


@pytest.mark.parametrize("values", [(0, 1, 1, 1), (2, 1, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0)])
def test_limits_that_allow_nothing_are_refused(values: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="must"):
        PathLimits(*values)


@pytest.mark.parametrize(
    ("permit_ms", "weld_mv"), [(299, 60_000), (MAX_PERMIT_MS + 1, 60_000), (3_000, WELD_LIMIT_MV + 1)]
)
def test_a_begin_can_not_loosen_what_keeps_people_safe(permit_ms: int, weld_mv: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        Begin(
            profile=Profile.DC_BPT,
            role=Role.CLIENT,
            own=LIMITS,
            peer=LIMITS,
            permit_ms=permit_ms,
            weld_limit_mv=weld_mv,
        )
