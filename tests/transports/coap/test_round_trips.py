"""Laws of the waits: whatever a peer does, they stay bounded; whatever a path is like, they come to fit it."""

import random
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
    Heard,
    RoundTrips,
    waits_ms,
)

FIRST_MS = 1_200
HOUR_MS = 3_600_000

times = st.integers(min_value=-10, max_value=HOUR_MS)
firsts = st.integers(min_value=1, max_value=MAX_WAIT_MS)


def once(after_ms: int) -> Heard:
    """An answer to the only copy."""
    return Heard(after_ms, after_ms, 1)


@given(firsts, st.lists(st.tuples(st.builds(Heard, times, times, st.integers(-1, 9)), st.integers(0, HOUR_MS))))
def test_whatever_a_peer_answers_its_wait_is_bounded(first_ms: int, answers: list[tuple[Heard, int]]) -> None:
    round_trips, now_ms = RoundTrips(first_ms), 0
    for heard, later_ms in answers:
        now_ms += later_ms
        round_trips.answered("peer", heard, now_ms)
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
        round_trips.answered("peer", once(round_trip_ms), now_ms)
    assert round_trip_ms < round_trips.wait_ms("peer", now_ms) <= round_trip_ms * 8 // 5 + 8


@given(st.lists(st.integers(700, 1_000), min_size=30, max_size=60))
def test_a_path_that_varies_causes_no_vain_repetition(round_trips_ms: list[int]) -> None:
    """10 kbps, 300 ms each way: from the smallest exchange of a trade to the largest."""
    round_trips = RoundTrips(FIRST_MS)
    for number, sample_ms in enumerate(round_trips_ms):
        assert sample_ms < round_trips.wait_ms("peer", 1_000 * number)
        round_trips.answered("peer", once(sample_ms), 1_000 * number)


@given(st.integers(MIN_WAIT_MS, 4_000), st.integers(2, MAX_COPIES))
def test_an_answer_to_a_repeated_message_counts_for_less(sample_ms: int, copies: int) -> None:
    strong, weak = RoundTrips(FIRST_MS), RoundTrips(FIRST_MS)
    strong.answered("peer", once(4 * sample_ms), 0)
    weak.answered("peer", Heard(4 * sample_ms, sample_ms, copies), 0)
    apart = [abs(each.wait_ms("peer", 0) - FIRST_MS) for each in (strong, weak)]
    assert apart[1] <= apart[0]


def test_an_answer_to_a_message_repeated_too_often_tells_nothing() -> None:
    round_trips = RoundTrips(FIRST_MS)
    round_trips.answered("peer", Heard(5_000, 100, MAX_COPIES + 1), 0)
    assert len(round_trips) == 0


def test_an_answer_in_the_last_copys_time_is_a_loss_and_one_too_soon_a_slow_path() -> None:
    lossy, slow = RoundTrips(FIRST_MS), RoundTrips(FIRST_MS)
    for round_trips, after_last_ms in ((lossy, 800), (slow, 300)):
        round_trips.answered("peer", once(800), 0)
        known_ms = round_trips.wait_ms("peer", 0)
        round_trips.answered("peer", Heard(1_500 + after_last_ms, after_last_ms, 2), 0)
        assert (round_trips.wait_ms("peer", 0) > known_ms) == (round_trips is slow)


def test_no_loss_makes_an_exchange_slower_than_its_copies_do() -> None:
    """One packet in five lost each way, as `Endpoint` plays it: few exchanges outlast a caller's deadline of 10 s."""
    chance, round_trips, now_ms, late = random.Random(1), RoundTrips(FIRST_MS), 0, 0
    for _ in range(2_000):
        sent_ms, copies, waits = 0, 1, waits_ms(round_trips.wait_ms("peer", now_ms))
        while chance.random() > 0.8 * 0.8:
            sent_ms, copies = sent_ms + next(waits), copies + 1
        answer_ms = chance.randint(700, 1_000)
        now_ms += sent_ms + answer_ms
        round_trips.answered("peer", Heard(sent_ms + answer_ms, answer_ms, copies), now_ms)
        late += sent_ms + answer_ms > 10_000
    assert late <= 20


def test_a_path_that_became_slower_than_all_copies_is_noticed() -> None:
    """No answer tells it: all of them come after too many copies. A short wait must therefore not live for ever."""
    round_trips = RoundTrips(FIRST_MS)
    for _ in range(20):
        round_trips.answered("peer", once(5), 0)
    assert round_trips.wait_ms("peer", 0) == MIN_WAIT_MS
    assert round_trips.wait_ms("peer", FRESH_WAITS * MIN_WAIT_MS - 1) == MIN_WAIT_MS
    assert round_trips.wait_ms("peer", FRESH_WAITS * MIN_WAIT_MS) == 2 * MIN_WAIT_MS
    assert round_trips.wait_ms("peer", KEEP_MS - 1) == FIRST_MS


@pytest.mark.parametrize("round_trip_ms", [5, 5_000])
def test_a_peer_not_heard_for_long_is_forgotten(round_trip_ms: int) -> None:
    round_trips = RoundTrips(FIRST_MS)
    for _ in range(9):
        round_trips.answered("peer", once(round_trip_ms), 0)
    assert round_trips.wait_ms("peer", 0) != FIRST_MS
    assert round_trips.wait_ms("peer", KEEP_MS) == FIRST_MS
    assert len(round_trips) == 0


def test_strangers_fill_no_more_than_the_table() -> None:
    round_trips = RoundTrips(FIRST_MS)
    for peer in range(3 * MAX_PEERS):
        round_trips.answered(peer, once(100), peer)
    assert len(round_trips) == MAX_PEERS
    assert round_trips.wait_ms(0, 3 * MAX_PEERS) == FIRST_MS
