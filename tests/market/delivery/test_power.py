from hypothesis import given
from hypothesis import strategies as st

from market.delivery.power import CUT_MS, RAMP_MS, allowed_power_w, safe_for_ms
from market.units import MS_PER_HOUR, PPM
from tests.support.market_terms import offer

CLASS_PPM = offer().tolerance.class_ppm


@given(st.integers(2, 5_000), st.integers(0, 6_000), st.integers(0, 50_000))
def test_until_the_cut_the_register_stays_within_the_exposure(exposure_wh: int, open_wh: int, ceiling_w: int) -> None:
    offered = offer(exposure_wh=exposure_wh)
    power_w = allowed_power_w(offered, open_wh, ceiling_w)
    assert 0 <= power_w <= ceiling_w
    if power_w:
        flows_ms = safe_for_ms(offered, open_wh, power_w) + CUT_MS
        counted = power_w * flows_ms * (PPM + CLASS_PPM)
        # the register showed open_wh while nearly one more may have been in it
        assert counted <= (exposure_wh - open_wh - 1) * MS_PER_HOUR * PPM


@given(st.integers(3, 5_000), st.integers(1, 50_000))
def test_the_power_falls_as_the_bound_comes_nearer_and_is_off_at_it(exposure_wh: int, ceiling_w: int) -> None:
    offered = offer(exposure_wh=exposure_wh)
    powers = [
        allowed_power_w(offered, open_wh, ceiling_w) for open_wh in range(0, exposure_wh + 1, 1 + exposure_wh // 50)
    ]
    assert powers == sorted(powers, reverse=True)
    assert allowed_power_w(offered, exposure_wh - 1, ceiling_w) == 0
    assert allowed_power_w(offered, exposure_wh, ceiling_w) == 0


def test_far_from_the_bound_nothing_is_taken_away() -> None:
    assert allowed_power_w(offer(exposure_wh=500), 250, 11_000) == 11_000


def test_a_reading_may_be_late_by_the_ramp_less_the_cut() -> None:
    offered = offer(exposure_wh=500)
    power_w = allowed_power_w(offered, 490, 11_000)
    assert 0 < power_w < 11_000
    assert RAMP_MS - CUT_MS <= safe_for_ms(offered, 490, power_w) <= RAMP_MS - CUT_MS + 10
    assert safe_for_ms(offered, 490, 11_000) == 0
