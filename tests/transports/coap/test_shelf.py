from hypothesis import given
from hypothesis import strategies as st

from transports.coap.shelf import Shelf


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40)), max_size=60))
def test_it_holds_the_newest_few_for_their_time_and_nothing_else(puts: list[tuple[int, int]]) -> None:
    shelf: Shelf[int, int] = Shelf(places=3, keep_ms=100)
    model: dict[int, tuple[int, int]] = {}
    now_ms = 0
    for value, (key, later_ms) in enumerate(puts):
        now_ms += later_ms
        shelf.put(key, value, now_ms)
        model.pop(key, None)
        model[key] = (now_ms, value)
        newest = list(model.items())[-3:]
        for wanted in range(10):
            kept = dict(newest).get(wanted)
            alive = kept is not None and now_ms - kept[0] < 100
            assert shelf.holds(wanted, now_ms) == alive
            assert shelf.get(wanted, now_ms) == (kept[1] if alive and kept else None)
        assert len(shelf) <= 3


def test_what_was_taken_is_gone() -> None:
    shelf: Shelf[str, int] = Shelf(places=3, keep_ms=100)
    shelf.put("a", 1, 0)
    assert shelf.pop("a") == 1
    assert shelf.pop("a") is None
    assert not shelf.holds("a", 0)


def test_a_stored_none_is_something() -> None:
    shelf: Shelf[str, None] = Shelf(places=3, keep_ms=100)
    shelf.put("a", None, 0)
    assert shelf.holds("a", 99)
    assert not shelf.holds("a", 100)
