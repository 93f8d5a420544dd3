import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports.coap.blocks import (
    MAX_BODIES,
    MAX_UPLOADS,
    UPLOAD_KEEP_MS,
    Bodies,
    Body,
    BrokenBody,
    Download,
    Incomplete,
    TooLarge,
    Uploads,
    part_of,
)
from transports.coap.packet import Block
from transports.interface import MAX_FRAME_BYTES

frames = st.binary(min_size=1, max_size=MAX_FRAME_BYTES)
sizes = st.sampled_from([16, 64, 256, 1024])


def parts(frame: bytes, size: int) -> list[tuple[bytes, Block]]:
    return [part_of(frame, number, size) for number in range(-(-len(frame) // size))]


@given(frames, sizes)
def test_a_frame_goes_up_whole(frame: bytes, size: int) -> None:
    uploads = Uploads()
    heard = [uploads.add("a", payload, block, 0) for payload, block in parts(frame, size)]
    assert heard == [None] * (len(heard) - 1) + [frame]


@given(frames, sizes)
def test_a_frame_comes_down_whole(frame: bytes, size: int) -> None:
    first, *others = parts(frame, size)
    download = Download(*first, b"tag")
    for payload, block in others:
        assert not download.complete
        assert download.next == Block(block.number, False, size)
        download.add(payload, block, b"tag")
    assert download.complete
    assert download.frame == frame


@given(frames, frames, sizes)
def test_two_uploads_do_not_mix(one: bytes, other: bytes, size: int) -> None:
    uploads, done = Uploads(), {}
    both = {"one": parts(one, size), "other": parts(other, size)}
    for step in range(max(len(steps) for steps in both.values())):
        for key, steps in both.items():
            if step < len(steps):
                done[key] = uploads.add(key, *steps[step], 0)
    assert done == {"one": one, "other": other}


def test_a_part_without_those_before_is_incomplete() -> None:
    uploads = Uploads()
    with pytest.raises(Incomplete):
        uploads.add("a", bytes(16), Block(1, True, 16), 0)
    uploads.add("a", bytes(16), Block(0, True, 16), 0)
    with pytest.raises(Incomplete):
        uploads.add("a", bytes(16), Block(2, True, 16), 0)
    with pytest.raises(Incomplete):  # the failure forgot what came before
        uploads.add("a", bytes(16), Block(1, False, 16), 0)
    with pytest.raises(Incomplete):
        uploads.add("a", bytes(15), Block(0, True, 16), 0)


def test_more_than_a_frame_is_too_large() -> None:
    uploads = Uploads()
    for number in range(4):
        uploads.add("a", bytes(1024), Block(number, True, 1024), 0)
    with pytest.raises(TooLarge):
        uploads.add("a", b"x", Block(4, False, 1024), 0)


def test_half_sent_frames_are_bounded_in_number_and_time() -> None:
    uploads = Uploads()
    for key in range(MAX_UPLOADS + 1):
        uploads.add(key, bytes(16), Block(0, True, 16), 0)
    with pytest.raises(Incomplete):
        uploads.add(0, b"", Block(1, False, 16), 0)
    assert uploads.add(1, b"", Block(1, False, 16), UPLOAD_KEEP_MS - 1) == bytes(16)
    with pytest.raises(Incomplete):
        uploads.add(2, b"", Block(1, False, 16), UPLOAD_KEEP_MS)


def test_a_body_is_found_by_its_token_and_as_the_newest() -> None:
    bodies, older, newer = Bodies(), Body(b"older"), Body(b"newer")
    bodies.keep("peer", b"1", older, 0)
    bodies.keep("peer", b"2", newer, 0)
    assert bodies.find("peer", b"1", 0) is older
    assert bodies.find("peer", b"3", 0) is newer
    assert bodies.find("another", b"1", 0) is None
    for number in range(MAX_BODIES):
        bodies.keep(number, b"", Body(b""), 0)
    assert bodies.find("peer", b"1", 0) is None


@pytest.mark.parametrize(
    ("payload", "block", "etag"),
    [
        (bytes(16), Block(2, True, 16), b"a"),
        (bytes(16), Block(0, True, 16), b"a"),
        (bytes(16), Block(1, True, 16), b"b"),
        (bytes(15), Block(1, True, 16), b"a"),
        (bytes(17), Block(1, False, 16), b"a"),
    ],
)
def test_parts_that_do_not_follow_break_the_answer(payload: bytes, block: Block, etag: bytes) -> None:
    download = Download(bytes(16), Block(0, True, 16), b"a")
    with pytest.raises(BrokenBody):
        download.add(payload, block, etag)
    assert download.frame == bytes(16)


def test_an_endless_answer_is_given_up() -> None:
    download = Download(bytes(1024), Block(0, True, 1024), None)
    for number in range(1, 4):
        download.add(bytes(1024), Block(number, True, 1024), None)
    with pytest.raises(BrokenBody):
        download.add(b"x", Block(4, False, 1024), None)
