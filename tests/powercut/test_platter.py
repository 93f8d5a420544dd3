"""What a power cut leaves, by hand; and laws for any sequence of writes and syncs."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.powercut.platter import SECTOR_BYTES, Keep, Platter, ways
from tests.powercut.shim import Operation, Record, Stage

PLACE = Path("/disk")
OLD, NEW = b"o" * SECTOR_BYTES, b"n" * SECTOR_BYTES


def nothing(_: Sequence[int]) -> int:
    return 0


def everything(moments: Sequence[int]) -> int:
    return len(moments) - 1


def record(operation: Operation, file: int = 3, offset: int = 0, data: bytes = b"", created: bool = False) -> Record:
    return Record(operation, Stage.WORKING, created, False, file, offset, data)


CREATED = record(Operation.OPEN, data=b"/disk/a", created=True)
AGAIN = record(Operation.OPEN, data=b"/disk/a")
DIRECTORY = (record(Operation.OPEN, 4, data=b"/disk"), record(Operation.SYNC, 4), record(Operation.CLOSE, 4))
SYNCED = record(Operation.SYNC)
REMOVED = record(Operation.UNLINK, -1, data=b"/disk/a")


def written(data: bytes, offset: int = 0) -> Record:
    return record(Operation.WRITE, offset=offset, data=data)


def resized(size: int) -> Record:
    return record(Operation.RESIZE, offset=size)


def after(*log: Record, keep: Keep = nothing) -> Mapping[str, bytes]:
    platter = Platter(PLACE)
    platter.replay(log)
    return platter.cut(keep)


def test_what_was_synced_lasts_and_what_was_not_need_not() -> None:
    log = (CREATED, *DIRECTORY, written(OLD), SYNCED, written(NEW))
    assert after(*log) == {"a": OLD}
    assert after(*log, keep=everything) == {"a": NEW}


def test_a_file_whose_directory_was_not_synced_need_not_be_there() -> None:
    assert after(CREATED, written(OLD), SYNCED) == {}
    assert after(CREATED, written(OLD), SYNCED, *DIRECTORY) == {"a": OLD}


def test_a_removed_file_comes_back_until_its_directory_is_synced() -> None:
    log = (CREATED, written(OLD), SYNCED, *DIRECTORY, REMOVED)
    assert after(*log) == {"a": OLD}
    assert after(*log, keep=everything) == after(*log, *DIRECTORY) == {}


def test_another_file_of_the_same_name_does_not_change_the_one_that_comes_back() -> None:
    log = (CREATED, written(OLD), SYNCED, *DIRECTORY, REMOVED, CREATED, written(NEW), SYNCED)
    assert after(*log) == {"a": OLD}
    assert after(*log, *DIRECTORY) == {"a": NEW}


def test_a_write_is_torn_at_sectors() -> None:
    first_only = iter([1, 0, 1])  # the size, a sector, another
    log = (CREATED, *DIRECTORY, written(OLD + OLD), SYNCED, written(NEW + NEW + NEW))
    assert after(*log, keep=lambda moments: next(first_only, 0)) == {"a": OLD + NEW + bytes(SECTOR_BYTES)}


def test_a_sector_never_has_a_later_write_without_the_earlier_one() -> None:
    log = (CREATED, *DIRECTORY, written(OLD), SYNCED, written(b"1", 1), written(b"2", 2))
    for index, start in enumerate([b"ooo", b"o1o", b"o12"]):
        assert after(*log, keep=lambda moments, index=index: min(index, len(moments) - 1))["a"][:3] == start  # type: ignore[misc]


def test_a_shortened_file_may_have_its_old_end_again() -> None:
    log = (CREATED, *DIRECTORY, written(OLD + OLD), SYNCED, resized(10))
    assert after(*log) == {"a": OLD + OLD}
    assert after(*log, keep=everything) == {"a": OLD[:10]}
    assert after(*log, SYNCED, resized(SECTOR_BYTES), keep=everything) == {"a": OLD[:10].ljust(SECTOR_BYTES, b"\0")}


def test_what_lasted_is_synced_from_then_on() -> None:
    platter = Platter(PLACE)
    platter.replay((CREATED, written(OLD)))
    assert platter.cut(everything) == {"a": OLD}
    platter.replay((AGAIN, written(NEW)))
    assert platter.cut(nothing) == {"a": OLD}


def test_what_lies_in_a_directory_within_is_there_when_both_names_are() -> None:
    made = record(Operation.MKDIR, -1, data=b"/disk/in")
    inside = (made, record(Operation.OPEN, data=b"/disk/in/a", created=True), written(OLD), SYNCED)
    within = (record(Operation.OPEN, 5, data=b"/disk/in"), record(Operation.SYNC, 5))
    assert after(*inside, keep=everything) == after(*inside, *within, *DIRECTORY) == {"in/a": OLD}
    assert after(*inside, *within) == after(*inside, *DIRECTORY) == {}


def test_a_renamed_file_has_one_name_or_the_other() -> None:
    moved = record(Operation.RENAME, -1, data=b"/disk/a\0/disk/b")
    log = (CREATED, *DIRECTORY, written(OLD), SYNCED, moved)
    assert after(*log) == {"a": OLD}
    assert after(*log, keep=everything) == after(*log, *DIRECTORY) == {"b": OLD}
    for seed in range(20):
        assert after(*log, keep=ways(random.Random(seed), 10)["any of it"]) in ({"a": OLD}, {"b": OLD})


def test_another_directory_is_another_disk() -> None:
    assert after(record(Operation.OPEN, data=b"/elsewhere/a", created=True), written(OLD), keep=everything) == {}


def test_a_disk_may_stop_at_a_moment() -> None:
    log = [CREATED, *DIRECTORY, SYNCED, *(written(bytes([n]) * SECTOR_BYTES, n * SECTOR_BYTES) for n in range(9))]
    lengths = set()
    for seed in range(50):
        platter = Platter(PLACE)
        platter.replay(log)
        lasting = platter.cut(ways(random.Random(seed), platter.moment)["all up to a moment"])["a"]
        assert list(lasting[::SECTOR_BYTES]) == list(range(len(lasting) // SECTOR_BYTES))
        lengths.add(len(lasting))
    assert len(lengths) > 2


SIZES = st.integers(0, 5 * SECTOR_BYTES)
STEPS = st.one_of(
    st.builds(written, st.binary(min_size=1, max_size=3 * SECTOR_BYTES), SIZES),
    st.builds(resized, SIZES),
    st.just(SYNCED),
)


@given(st.lists(STEPS, max_size=12), st.randoms(use_true_random=False))
def test_law_each_sector_is_as_it_once_was_since_the_last_sync(steps: list[Record], chance: random.Random) -> None:
    platter, pasts = Platter(PLACE), [b""]
    platter.replay((CREATED, *DIRECTORY))
    for step in steps:
        platter.replay((AGAIN, step))
        pasts = [platter.seen["a"]] if step is SYNCED else [*pasts, platter.seen["a"]]
    lasting = platter.cut(ways(chance, platter.moment)["any of it"])["a"]
    assert len(lasting) in {len(each) for each in pasts}
    for start in range(0, len(lasting), SECTOR_BYTES):
        stop = min(start + SECTOR_BYTES, len(lasting))
        assert lasting[start:stop] in {each[start:stop].ljust(stop - start, b"\0") for each in pasts}


@pytest.mark.parametrize("name", ways(random.Random(1), 1))
@given(steps=st.lists(STEPS, max_size=12), chance=st.randoms(use_true_random=False))
def test_law_no_disk_loses_what_was_synced(name: str, steps: list[Record], chance: random.Random) -> None:
    platter = Platter(PLACE)
    platter.replay((CREATED, *DIRECTORY, *steps, SYNCED))
    seen = platter.seen
    assert platter.cut(ways(chance, platter.moment)[name]) == seen
