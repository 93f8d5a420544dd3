from hypothesis import given
from hypothesis import strategies as st

from market.delivery.power import (
    CUT_MS,
    FOLLOW_MS,
    LAST_MS,
    LAST_SHARE,
    MAX_WAIT_MS,
    RAMP_MS,
    allowed_power_w,
    is_last,
    last_power_w,
    safe_for_ms,
)
from market.terms import Profile
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


@given(st.integers(1, 10_000), st.integers(0, 20_000), st.integers(0, 400_000))
def test_the_energy_left_lasts_unless_the_power_is_as_low_as_it_may_be(
    left_wh: int, least_w: int, ceiling_w: int
) -> None:
    power_w = last_power_w(offer(), left_wh, least_w, ceiling_w)
    assert min(least_w, ceiling_w) <= power_w <= ceiling_w
    if power_w > max(least_w, ceiling_w // LAST_SHARE):
        assert power_w * LAST_MS <= left_wh * MS_PER_HOUR


@given(st.integers(1, 10_000), st.integers(0, 20_000), st.integers(1, 400_000))
def test_the_less_is_left_the_less_may_flow_but_never_nothing(left_wh: int, least_w: int, ceiling_w: int) -> None:
    less, more = (last_power_w(offer(), wh, least_w, ceiling_w) for wh in (left_wh, left_wh + 1))
    assert 0 < less <= more


def test_an_ac_load_is_not_asked_to_take_less() -> None:
    assert last_power_w(offer(profile=Profile.AC_OUTLET), 1, 0, 3_600) == 3_600


@given(st.integers(1, 10_000), st.integers(0, 400_000), st.integers(0, 5_000))
def test_while_it_is_not_the_last_reading_there_is_energy_for_one_more(
    left_wh: int, power_w: int, waited_ms: int
) -> None:
    if not is_last(left_wh, power_w, waited_ms):
        assert power_w * (min(waited_ms, MAX_WAIT_MS) + FOLLOW_MS) <= left_wh * MS_PER_HOUR


def test_no_energy_left_is_the_end_even_if_none_flows() -> None:
    assert is_last(0, 0, 200)
    assert not is_last(1, 0, 200)
