"""Laws of the waits: whatever a peer does, they stay bounded; whatever a path is like, they come to fit it."""

from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports.coap.round_trips import (
    FRESH_WAITS,
    KEEP_MS,
    MAX_COPIES,
    MAX_PEERS,
    MAX_WAIT_MS,
    MIN_WAIT_MS,
    RoundTrips,
    waits_ms,
)

FIRST_MS = 1_200
HOUR_MS = 3_600_000

times = st.integers(min_value=-10, max_value=HOUR_MS)
firsts = st.integers(min_value=1, max_value=MAX_WAIT_MS)


@given(firsts, st.lists(st.tuples(times, st.integers(-1, 9), st.integers(0, HOUR_MS)), max_size=60))
def test_whatever_a_peer_answers_its_wait_is_bounded(first_ms: int, answers: list[tuple[int, int, int]]) -> None:
    round_trips, now_ms = RoundTrips(first_ms), 0
    for after_ms, copies, later_ms in answers:
        now_ms += later_ms
        round_trips.answered("peer", after_ms, copies, now_ms)
        assert min(first_ms, MIN_WAIT_MS) <= round_trips.wait_ms("peer", now_ms) <= MAX_WAIT_MS
    assert round_trips.wait_ms("another", now_ms) == first_ms


@given(firsts)
def test_the_waits_of_one_message_never_shrink_and_have_a_bound(first_ms: int) -> None:
    waits = list(islice(waits_ms(first_ms), 40))
    assert waits[0] == first_ms
    assert all(shorter <= longer for shorter, longer in pairwise(waits))
    assert waits[-1] == MAX_WAIT_MS


def test_a_poor_radio_is_given_five_copies_within_ten_seconds() -> None:
    assert sum(islice(waits_ms(FIRST_MS + FIRST_MS // 4), 4)) <= 10_000


@given(st.integers(MIN_WAIT_MS, MAX_WAIT_MS // 2), st.integers(1, FRESH_WAITS * MIN_WAIT_MS - 1))
def test_a_steady_path_is_soon_known(round_trip_ms: int, every_ms: int) -> None:
    round_trips, now_ms = RoundTrips(FIRST_MS), 0
    for _ in range(40):
        now_ms += every_ms
        round_trips.answered("peer", round_trip_ms, 1, now_ms)
    assert round_trip_ms < round_trips.wait_ms("peer", now_ms) <= round_trip_ms * 8 // 5 + 8


@given(st.lists(st.integers(700, 1_000), min_size=30, max_size=60))
def test_a_path_that_varies_causes_no_vain_repetition(round_trips_ms: list[int]) -> None:
    """10 kbps, 300 ms each way: from the smallest exchange of a trade to the largest."""
    round_trips = RoundTrips(FIRST_MS)
    for number, sample_ms in enumerate(round_trips_ms):
        assert sample_ms < round_trips.wait_ms("peer", 1_000 * number)
        round_trips.answered("peer", sample_ms, 1, 1_000 * number)


@given(st.integers(MIN_WAIT_MS, 4_000), st.integers(2, MAX_COPIES))
def test_an_answer_to_a_repeated_message_counts_for_less(sample_ms: int, copies: int) -> None:
    strong, weak = RoundTrips(FIRST_MS), RoundTrips(FIRST_MS)
    strong.answered("peer", 4 * sample_ms, 1, 0)
    weak.answered("peer", 4 * sample_ms, copies, 0)
    apart = [abs(each.wait_ms("peer", 0) - FIRST_MS) for each in (strong, weak)]
    assert apart[1] <= apart[0]


def test_an_answer_to_a_message_repeated_too_often_tells_nothing() -> None:
    round_trips = RoundTrips(FIRST_MS)
    round_trips.answered("peer", 5_000, MAX_COPIES + 1, 0)
    assert len(round_trips) == 0


def test_a_path_that_became_slower_than_all_copies_is_noticed() -> None:
    """No answer tells it: all of them come after too many copies. A short wait must therefore not live for ever."""
    round_trips = RoundTrips(FIRST_MS)
    for _ in range(20):
        round_trips.answered("peer", 5, 1, 0)
    assert round_trips.wait_ms("peer", 0) == MIN_WAIT_MS
    assert round_trips.wait_ms("peer", FRESH_WAITS * MIN_WAIT_MS - 1) == MIN_WAIT_MS
    assert round_trips.wait_ms("peer", FRESH_WAITS * MIN_WAIT_MS) == 2 * MIN_WAIT_MS
    assert round_trips.wait_ms("peer", KEEP_MS - 1) == FIRST_MS


@pytest.mark.parametrize("round_trip_ms", [5, 5_000])
def test_a_peer_not_heard_for_long_is_forgotten(round_trip_ms: int) -> None:
    round_trips = RoundTrips(FIRST_MS)
    for _ in range(9):
        round_trips.answered("peer", round_trip_ms, 1, 0)
    assert round_trips.wait_ms("peer", 0) != FIRST_MS
    assert round_trips.wait_ms("peer", KEEP_MS) == FIRST_MS
    assert len(round_trips) == 0


def test_strangers_fill_no_more_than_the_table() -> None:
    round_trips = RoundTrips(FIRST_MS)
    for peer in range(3 * MAX_PEERS):
        round_trips.answered(peer, 100, 1, peer)
    assert len(round_trips) == MAX_PEERS
    assert round_trips.wait_ms(0, 3 * MAX_PEERS) == FIRST_MS
