"""Token buckets: a burst, a steady rate, and a table that a flood can't grow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports.rates import SourceRates


def test_a_burst_then_the_steady_rate() -> None:
    rates = SourceRates(burst=3, refill_ms=100, sources=10)
    assert [rates.allow("a", 0) for _ in range(4)] == [True, True, True, False]
    assert [rates.allow("a", now_ms) for now_ms in (99, 100, 101, 199, 200)] == [False, True, False, False, True]


def test_sources_do_not_share() -> None:
    rates = SourceRates(burst=1, refill_ms=100, sources=10)
    assert rates.allow("a", 0)
    assert not rates.allow("a", 0)
    assert rates.allow("b", 0)


@given(st.lists(st.integers(0, 50), max_size=200), st.integers(1, 5), st.integers(1, 40))
def test_never_more_than_the_burst_and_the_rate_allow(steps: list[int], burst: int, refill_ms: int) -> None:
    rates, now_ms, allowed = SourceRates(burst=burst, refill_ms=refill_ms, sources=1), 0, 0
    for step in steps:
        now_ms += step
        allowed += rates.allow("a", now_ms)
        assert allowed <= burst + now_ms // refill_ms


def test_a_crowd_of_new_sources_shares_one_bucket() -> None:
    rates = SourceRates(burst=2, refill_ms=100, sources=3)
    allowed = [rates.allow(f"forged {number}", 0) for number in range(20)]
    assert sum(allowed) == 3 + 2
    assert len(rates) == 3


def test_a_source_that_has_recovered_gives_its_place_away() -> None:
    rates = SourceRates(burst=2, refill_ms=100, sources=1)
    assert rates.allow("a", 0)
    assert rates.allow("b", 200)
    assert rates.allow("b", 200)
    assert not rates.allow("b", 200)
    assert len(rates) == 1


def test_a_clock_that_stands_still_or_steps_back_gives_nothing() -> None:
    rates = SourceRates(burst=1, refill_ms=100, sources=1)
    assert rates.allow("a", 1_000)
    assert not rates.allow("a", 0)


@pytest.mark.parametrize(("burst", "refill_ms", "sources"), [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_bounds_of_nothing_are_refused(burst: int, refill_ms: int, sources: int) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        SourceRates(burst=burst, refill_ms=refill_ms, sources=sources)
