"""Records: sealed, overtaken, repeated, forged, and counted to the end."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transports.pairs import HOME_KEY, VEHICLE_KEY, bit_flips
from transports.errors import Forged, FrameTooLarge, LinkExhausted, Malformed, Replay
from transports.handshake import TransportKeys
from transports.interface import MAX_FRAME_BYTES
from transports.records import MAX_RECORDS, REPLAY_WINDOW, TAG_BYTES, ReplayWindow, Session

KEYS = bytes([1]) * 32, bytes([2]) * 32


def pair() -> tuple[Session, Session]:
    ours = Session(peer=HOME_KEY, local_id=64, remote_id=65)
    theirs = Session(peer=VEHICLE_KEY, local_id=65, remote_id=64)
    ours.install(TransportKeys(*KEYS))
    theirs.install(TransportKeys(*reversed(KEYS)))
    return ours, theirs


def test_a_record_comes_back_as_sealed() -> None:
    ours, theirs = pair()
    for number, plaintext in enumerate([b"", b"one", bytes(1000)]):
        assert ours.records == number
        record = ours.seal(plaintext)
        assert len(record) == 2 + 1 + len(plaintext) + TAG_BYTES
        assert theirs.open(record) == plaintext


def test_a_session_is_established_by_the_first_record_that_opens() -> None:
    ours, theirs = pair()
    record = ours.seal(b"")
    with pytest.raises(Forged):
        theirs.open(record[:-1] + bytes([record[-1] ^ 1]))
    assert not theirs.established
    theirs.open(record)
    assert theirs.established
    assert not ours.established


def test_every_flipped_bit_is_refused_and_changes_nothing() -> None:
    ours, theirs = pair()
    record = ours.seal(b"start")
    for flipped in bit_flips(record):
        with pytest.raises(Forged):
            theirs.open(flipped)
    for length in range(len(record)):
        with pytest.raises(Forged):
            theirs.open(record[:length])
    assert theirs.open(record) == b"start"


def test_a_record_does_not_open_where_it_was_sealed() -> None:
    ours, _ = pair()
    mirror = Session(peer=HOME_KEY, local_id=65, remote_id=64)
    mirror.install(TransportKeys(*KEYS))
    with pytest.raises(Forged):
        mirror.open(ours.seal(b"echo"))


@settings(max_examples=30)
@given(st.permutations(range(REPLAY_WINDOW)), st.randoms())
def test_records_in_any_order_open_once_each(order: list[int], chance: Random) -> None:
    ours, theirs = pair()
    records = [ours.seal(b"%d" % number) for number in range(REPLAY_WINDOW)]
    for at, number in enumerate(order):
        assert theirs.open(records[number]) == b"%d" % number
        again = chance.choice(order[: at + 1])
        with pytest.raises(Replay):
            theirs.open(records[again])


@given(st.lists(st.integers(0, 400), max_size=200))
def test_the_window_is_the_set_of_what_was_seen_and_is_not_too_old(counters: list[int]) -> None:
    window, seen = ReplayWindow(), set[int]()
    for counter in counters:
        fresh = counter not in seen and counter > max(seen, default=-1) - REPLAY_WINDOW
        assert window.admits(counter) == fresh
        if fresh:
            window.mark(counter)
            seen.add(counter)


@pytest.mark.parametrize(("age", "opens"), [(REPLAY_WINDOW - 1, True), (REPLAY_WINDOW, False)])
def test_the_edge_of_the_window(age: int, opens: bool) -> None:
    ours, theirs = pair()
    late = ours.seal(b"late")
    for _ in range(age - 1):
        ours.seal(b"")
    theirs.open(ours.seal(b"newest"))
    if opens:
        assert theirs.open(late) == b"late"
    else:
        with pytest.raises(Replay):
            theirs.open(late)


def test_a_link_ends_at_its_last_record() -> None:
    ours, theirs = pair()
    ours._sealed = MAX_RECORDS - 1
    last = ours.seal(b"last")
    assert ours.exhausted
    assert ours.records == MAX_RECORDS
    with pytest.raises(LinkExhausted):
        ours.seal(b"one more")
    assert theirs.open(last) == b"last"
    assert not theirs.exhausted


def test_a_counter_beyond_the_last_is_refused() -> None:
    _, theirs = pair()
    with pytest.raises(Malformed):
        theirs.open(bytes.fromhex("4041" + "80100000") + bytes(20))


def test_a_record_that_fits_no_frame_uses_no_counter() -> None:
    ours, theirs = pair()
    room = MAX_FRAME_BYTES - 3 - TAG_BYTES
    with pytest.raises(FrameTooLarge):
        ours.seal(bytes(room + 1))
    assert ours.records == 0
    assert theirs.open(ours.seal(bytes(room))) == bytes(room)


def test_without_keys_nothing_is_sealed_or_opened() -> None:
    ours, _ = pair()
    unready = Session(peer=VEHICLE_KEY, local_id=65, remote_id=64)
    with pytest.raises(RuntimeError, match="not finished"):
        unready.seal(b"")
    with pytest.raises(Forged):
        unready.open(ours.seal(b""))
    with pytest.raises(RuntimeError, match="once"):
        ours.install(TransportKeys(*KEYS))
