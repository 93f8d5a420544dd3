from collections.abc import Callable

import pytest

from v2xnode.devices.interface import MAX_PERMIT_MS, Direction, Emit, Permit, Precharge, SetPower


@pytest.mark.parametrize(
    "build",
    [
        lambda: Permit(-1, Direction.IN, 1),
        lambda: Permit(1, Direction.IN, 0),
        lambda: Permit(1, Direction.IN, MAX_PERMIT_MS + 1),
        lambda: SetPower(-1),
        lambda: Precharge(-1),
        lambda: Emit(1 << 16),
    ],
)
def test_no_command_can_carry_a_value_out_of_range(build: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        build()
