from hypothesis import given
from hypothesis import strategies as st

from market.delivery import Reading
from market.delivery.registers import MAX_READINGS, Registers, interpolate


def test_between_two_readings_the_register_is_interpolated_and_rounded_down() -> None:
    before, after = Reading(1_000, 100, 0), Reading(3_000, 107, 0)
    assert [interpolate(before, after, at) for at in (500, 1_000, 2_000, 3_000, 9_000)] == [100, 100, 103, 107, 107]


@given(st.lists(st.tuples(st.integers(1, 5_000), st.integers(0, 50)), min_size=1, max_size=40), st.data())
def test_a_register_never_falls_in_time(steps: list[tuple[int, int]], data: st.DataObject) -> None:
    registers, at_ms, wh = Registers(), 0, 0
    for wait_ms, risen_wh in steps:
        at_ms, wh = at_ms + wait_ms, wh + risen_wh
        registers.add(Reading(at_ms, wh, 0))
    times = sorted(data.draw(st.lists(st.integers(0, at_ms + 100), min_size=2, max_size=10)))
    shown = [value for time in times if (value := registers.at(time)) is not None]
    assert len(shown) == len(times)
    assert shown == sorted(shown)
    assert shown[-1] <= wh


def test_only_the_newest_are_kept_and_older_times_are_clamped_to_them() -> None:
    registers = Registers()
    assert registers.at(0) is None
    for second in range(MAX_READINGS + 10):
        registers.add(Reading(second * 1_000, second, 0))
    assert registers.at(0) == 10
    assert registers.at(10**9) == MAX_READINGS + 9


def test_a_clock_that_was_set_back_does_not_turn_the_order_round() -> None:
    registers = Registers()
    registers.add(Reading(10_000, 5, 0))
    assert registers.add(Reading(4_000, 6, 0)) == Reading(10_001, 6, 0)
    assert registers.covers(10_001)
    assert not registers.covers(10_002)
