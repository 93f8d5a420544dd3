from hypothesis import given
from hypothesis import strategies as st

from market.delivery import Reading
from market.delivery.intervals import SPARE, Mark, is_due, most, tariff_marks
from market.terms import Interval, PriceKind, PriceStep
from tests.support.market_terms import CLIENT, offer

LAST = Interval(CLIENT, 0, 0, 1_000)


@given(st.lists(st.tuples(st.integers(200, 4_000), st.integers(0, 30)), min_size=1, max_size=60))
def test_an_interval_passes_neither_its_time_nor_half_the_exposure(steps: list[tuple[int, int]]) -> None:
    """With the same step again and again, as a steady power gives it, no cut comes too late."""
    offered = offer(exposure_wh=200, interval_ms=10_000)
    for step_ms, step_wh in steps:
        before = now = Reading(0, 1_000, 0)
        while True:
            before, now = now, Reading(now.at_ms + step_ms, now.register_wh + step_wh, 0)
            if is_due(offered, LAST, before, now):
                break
        assert now.at_ms <= 10_000
        assert now.register_wh - 1_000 <= 100
        assert now.at_ms + step_ms > 10_000 or now.register_wh + step_wh - 1_000 > 100


@given(
    st.integers(2, 400),
    st.integers(1_000, 60_000),
    st.lists(st.tuples(st.integers(1, 4_000), st.integers(0, 300)), min_size=1, max_size=300),
)
def test_no_provider_cuts_more_than_the_client_takes(
    exposure_wh: int, interval_ms: int, steps: list[tuple[int, int]]
) -> None:
    """Whatever the power does: without the spare ones too, so that these are for clocks and meters alone."""
    offered = offer(exposure_wh=exposure_wh, interval_ms=interval_ms)
    last, before, cuts = LAST, Reading(0, 1_000, 0), 0
    for step_ms, step_wh in steps:
        now = Reading(before.at_ms + step_ms, before.register_wh + step_wh, 0)
        if is_due(offered, last, before, now):
            last, cuts = Interval(CLIENT, cuts + 1, now.at_ms, now.register_wh), cuts + 1
        before = now
    assert cuts <= most(offered, before.at_ms, before.register_wh - 1_000) - SPARE


def test_one_step_beyond_half_the_exposure_is_cut_at_once() -> None:
    offered = offer(exposure_wh=20)
    assert is_due(offered, LAST, Reading(0, 1_000, 0), Reading(1_000, 1_015, 0))


def test_an_interval_takes_some_time() -> None:
    assert not is_due(offer(interval_ms=1_000), LAST, Reading(-9_000, 1_000, 0), Reading(0, 1_000, 0))


def test_tariff_edges_are_marked_exactly() -> None:
    steps = (PriceStep(0, 1), PriceStep(1, 2), PriceStep(2, 3))
    offered = offer(price_kind=PriceKind.TIME_OF_USE, price_steps=steps)
    marks = tariff_marks(offered, Reading(40_000, 100, 0), Reading(140_000, 200, 0))
    assert list(marks) == [Mark(60_000, 120), Mark(120_000, 180)]
    assert list(tariff_marks(offered, Reading(60_000, 0, 0), Reading(119_999, 9, 0))) == []
    assert list(tariff_marks(offer(), Reading(0, 0, 0), Reading(10**9, 9, 0))) == []
