import pytest

from market.delivery import Agreement
from tests.support.market_terms import CLIENT, digest, offer, request


def made(*, interval_ms: int = 60_000, offer_start: int = 0, request_start: int = 0) -> Agreement:
    return Agreement.of(
        request(power_max_w=7_000, power_min_w=1_400, window_ms=3_600_000, start_at_ms=request_start),
        offer(power_w=11_000, start_within_ms=90_000, interval_ms=interval_ms, start_at_ms=offer_start),
        peer=CLIENT,
        answers=digest("accept"),
        confirmed_ms=5_000,
        confirmed_at_ms=1_700_000_000_000,
    )


def test_power_is_what_both_can_and_start_by_counts_from_the_confirm() -> None:
    agreement = made()
    assert (agreement.power_max_w, agreement.power_min_w) == (7_000, 1_400)
    assert agreement.start_by_ms == 95_000


def test_the_window_begins_when_offered_else_when_asked_else_now() -> None:
    assert made().ends_at_ms == 1_700_003_600_000
    assert made(request_start=1_700_000_500_000).ends_at_ms == 1_700_004_100_000
    assert made(request_start=1_700_000_500_000, offer_start=1_700_000_900_000).ends_at_ms == 1_700_004_500_000


@pytest.mark.parametrize(("interval_ms", "grace_ms"), [(60_000, 10_000), (40_000, 10_000), (8_000, 2_000)])
def test_the_grace_is_ten_seconds_or_a_quarter_interval(interval_ms: int, grace_ms: int) -> None:
    assert made(interval_ms=interval_ms).grace_ms == grace_ms
