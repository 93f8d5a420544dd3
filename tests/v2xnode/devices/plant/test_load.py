import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2xnode.devices.plant.load import LoadSpec, demand_mw, next_change_ms

SPEC = LoadSpec(power_w=(100, 200, 300), step_ms=1_000, start_ms=500)


@given(st.integers(0, 10**9))
def test_demand_stands_until_the_next_change(now_ms: int) -> None:
    change_ms = next_change_ms(SPEC, now_ms)
    assert now_ms < change_ms <= now_ms + 1_000
    assert demand_mw(SPEC, change_ms - 1) == demand_mw(SPEC, now_ms) != demand_mw(SPEC, change_ms)


def test_the_profile_repeats() -> None:
    assert [demand_mw(SPEC, 500 + 1_000 * step) for step in range(4)] == [100_000, 200_000, 300_000, 100_000]


@pytest.mark.parametrize("wrong", [{"power_w": ()}, {"power_w": (-1,)}, {"power_w": (1,), "step_ms": 0}])
def test_an_impossible_load_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="load"):
        LoadSpec(**wrong)  # type: ignore[arg-type]
