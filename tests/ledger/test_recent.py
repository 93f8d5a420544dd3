"""A memory with an end keeps the newest."""

from __future__ import annotations

from ledger.recent import Recent


def test_the_newest_are_kept_and_the_oldest_goes_first() -> None:
    recent: Recent[str, int] = Recent(2)
    for key, value in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        recent.put(key, value)
    assert [recent.get(key) for key in "abc"] == [3, None, 4]


def test_nothing_is_left_when_cleared() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.clear()
    assert recent.get("a") is None
