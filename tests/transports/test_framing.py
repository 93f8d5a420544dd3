"""Fragments that get lost, come twice or in disorder, and hostile ones."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transports.errors import FrameTooLarge
from transports.framing import (
    HEADER_BYTES,
    MAX_FINISHED,
    MAX_PARTIALS,
    MIN_MTU,
    PARTIAL_MS,
    Fragmenter,
    Reassembler,
)
from transports.interface import MAX_FRAME_BYTES


@settings(max_examples=50)
@given(st.binary(max_size=MAX_FRAME_BYTES), st.integers(MIN_MTU, 300), st.randoms())
def test_a_frame_comes_back_whatever_the_order_and_the_duplicates(frame: bytes, mtu: int, chance: Random) -> None:
    fragments = Fragmenter(mtu).split(frame)
    assert max(map(len, fragments)) <= mtu
    chance.shuffle(fragments)
    reassembler = Reassembler()
    out = [reassembler.receive(fragment, 0) for fragment in fragments for _ in range(2)]
    assert [whole for whole in out if whole is not None] == [frame]
    assert reassembler.deadline_ms is None


@given(st.integers(1, 1_000), st.data())
def test_a_lost_fragment_loses_its_frame_and_no_other(size: int, data: st.DataObject) -> None:
    fragmenter, reassembler = Fragmenter(MIN_MTU), Reassembler()
    lost, next_one = fragmenter.split(bytes(size)), fragmenter.split(b"next")
    del lost[data.draw(st.integers(0, len(lost) - 1))]
    assert [reassembler.receive(fragment, 0) for fragment in lost] == [None] * len(lost)
    assert reassembler.receive(next_one[0], 0) == b"next"


@given(st.lists(st.binary(max_size=100), min_size=1, max_size=MAX_PARTIALS), st.randoms())
def test_frames_may_be_interleaved(frames: list[bytes], chance: Random) -> None:
    fragmenter, reassembler = Fragmenter(MIN_MTU), Reassembler()
    fragments = [fragment for frame in frames for fragment in fragmenter.split(frame)]
    chance.shuffle(fragments)
    out = [reassembler.receive(fragment, 0) for fragment in fragments]
    assert sorted(whole for whole in out if whole is not None) == sorted(frames)


def test_the_largest_frame_fits_the_smallest_packets_and_one_byte_more_does_not() -> None:
    assert len(Fragmenter(MIN_MTU).split(bytes(MAX_FRAME_BYTES))) == 256
    with pytest.raises(FrameTooLarge):
        Fragmenter(MIN_MTU).split(bytes(MAX_FRAME_BYTES + 1))
    with pytest.raises(ValueError, match="19"):
        Fragmenter(MIN_MTU - 1)


def test_an_incomplete_frame_is_given_up_at_its_deadline() -> None:
    first, second = Fragmenter(MIN_MTU).split(bytes(20))
    reassembler = Reassembler()
    reassembler.receive(first, 5)
    assert reassembler.deadline_ms == 5 + PARTIAL_MS
    reassembler.expire(5 + PARTIAL_MS - 1)
    assert reassembler.deadline_ms is not None
    reassembler.expire(5 + PARTIAL_MS)
    assert reassembler.deadline_ms is None
    assert reassembler.dropped == 1
    assert reassembler.receive(second, 5 + PARTIAL_MS) is None


def test_a_number_may_come_again_after_all_the_others() -> None:
    fragmenter, reassembler = Fragmenter(MIN_MTU), Reassembler()
    for number in range(600):
        assert reassembler.receive(fragmenter.split(b"%d" % number)[0], number) == b"%d" % number


def test_a_new_frame_with_an_old_number_replaces_what_was_left_of_the_old_one() -> None:
    reassembler = Reassembler()
    reassembler.receive(Fragmenter(MIN_MTU).split(bytes(100))[0], 0)
    first, second = Fragmenter(MIN_MTU).split(b"x" * 20)
    assert reassembler.receive(first, 1) is None
    assert reassembler.receive(second, 1) == b"x" * 20


def test_incomplete_frames_are_bounded_and_the_oldest_gives_way() -> None:
    fragmenter, reassembler = Fragmenter(MIN_MTU), Reassembler()
    frames = [fragmenter.split(bytes([number]) * 20) for number in range(MAX_PARTIALS + 1)]
    for first, _ in frames:
        reassembler.receive(first, 0)
    assert reassembler.dropped == 1
    assert reassembler.receive(frames[1][1], 0) == bytes([1]) * 20


def test_finished_numbers_are_bounded() -> None:
    fragmenter, reassembler = Fragmenter(MIN_MTU), Reassembler()
    fragments = [fragmenter.split(b"%d" % number)[0] for number in range(MAX_FINISHED + 1)]
    for fragment in fragments:
        reassembler.receive(fragment, 0)
    assert reassembler.receive(fragments[1], 0) is None
    assert reassembler.receive(fragments[0], 0) == b"0"


@pytest.mark.parametrize("fragment", [b"", b"\0", b"\0\0", b"\0\2\1abc", b"\0\xff\xfe"])
def test_broken_fragments_are_dropped(fragment: bytes) -> None:
    reassembler = Reassembler()
    assert reassembler.receive(fragment, 0) is None
    assert reassembler.dropped == 1
    assert reassembler.deadline_ms is None


def test_parts_that_make_no_frame_are_not_kept() -> None:
    reassembler = Reassembler()
    half = bytes(MAX_FRAME_BYTES // 2 + 1)
    assert reassembler.receive(b"\0\0\2" + half, 0) is None
    assert reassembler.receive(b"\0\1\2" + half, 0) is None
    assert reassembler.dropped == 1
    assert reassembler.deadline_ms is None


@given(st.lists(st.binary(max_size=40), max_size=50))
def test_any_bytes_are_met_without_an_exception(fragments: list[bytes]) -> None:
    reassembler = Reassembler()
    for now_ms, fragment in enumerate(fragments):
        whole = reassembler.receive(fragment, now_ms)
        assert whole is None or len(whole) <= len(b"".join(fragments)) - HEADER_BYTES


def test_a_bearer_may_put_something_around_the_largest_frame() -> None:
    longest = MAX_FRAME_BYTES + 5
    fragmenter, reassembler = Fragmenter(MIN_MTU + 1, longest=longest), Reassembler(longest=longest)
    frame = bytes(range(256)) * 16 + b"extra"
    assert [reassembler.receive(fragment, 0) for fragment in fragmenter.split(frame)][-1] == frame
    with pytest.raises(FrameTooLarge, match=f"{longest}"):
        fragmenter.split(bytes(longest + 1))
    with pytest.raises(ValueError, match=f"{MIN_MTU + 1} bytes or more"):
        Fragmenter(MIN_MTU, longest=longest)
    one_too_many = Fragmenter(512, longest=longest + 1).split(bytes(longest + 1))
    assert [reassembler.receive(fragment, 0) for fragment in one_too_many][-1] is None
