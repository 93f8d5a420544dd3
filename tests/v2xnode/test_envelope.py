"""Frames: what is packed is read back by the peer for whom it was, and anything else is refused whole."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import cbor
from market.errors import Reason
from market.terms import Accept, Alive, Decline, Message, MessageType, Ready, Request, Resume, Stop
from tests.support.market_terms import offer, request
from tests.support.node_books import REQUEST_ID, Table, table
from v2xnode.envelope import (
    MAX_FRAME_BYTES,
    MAX_ITEMS,
    MAX_SAID,
    REFUSED,
    FrameInvalid,
    Item,
    Letter,
    Link,
    Place,
    Plain,
    Reading,
    Talk,
    fitting,
    in_full,
    is_entry,
    pack,
    place_of,
    read,
    request_id_in,
    sign_letter,
    unpack,
)
from v2xnode.identity import Identity

ME, PEER = Identity.from_seed(b"\x03" * 32), Identity.from_seed(b"\x04" * 32)


def context(request_id: bytes | None = REQUEST_ID, peer: bytes = PEER.public) -> Reading:
    return Reading(ME.public, peer, bytes(8), request_id, lambda node, epoch, seq: None)


def over_the_wire(message: Message, request_id: bytes | None = REQUEST_ID) -> Message:
    return read(unpack(pack([Plain(message)]))[0], context(request_id)).message  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "message",
    [Alive(3, 40), Ready(1, bytes(8)), Stop(2, Reason.SILENCE), Resume(REQUEST_ID), Decline(REQUEST_ID, Reason.BUSY)],
)
def test_a_sealed_message_comes_back_as_it_was(message: Message) -> None:
    assert over_the_wire(message) == message


def test_a_signed_message_is_read_with_what_the_wire_left_out() -> None:
    asked = request(provider=ME.public)
    letter = sign_letter(PEER.signer, asked)
    frame = pack([letter])
    assert ME.public not in frame
    assert read(unpack(frame)[0], context()) == letter


def test_a_request_to_somebody_else_is_not_for_us() -> None:
    letter = sign_letter(PEER.signer, request(provider=b"Q" * 32))
    with pytest.raises(FrameInvalid):
        read(unpack(pack([letter]))[0], context())


def test_a_letter_of_another_signer_is_refused() -> None:
    letter = sign_letter(ME.signer, offer(request_id=REQUEST_ID))
    with pytest.raises(FrameInvalid):
        read(unpack(pack([letter]))[0], context())


async def test_an_entry_comes_back_and_belongs_to_its_signer_epoch_and_trade() -> None:
    async with table() as world:
        accept = Accept(world.provider.key, 0, "EUR")
        entry = await world.by(world.client, accept, world.letters[1].digest)
        [raw] = unpack(pack([entry]))
        assert is_entry(raw)
        made = entry.signed.entry
        whole = Reading(world.provider.key, world.client.key, made.epoch, REQUEST_ID, lambda *_: None)
        assert read(raw, whole) == entry
        for wrong in (
            Reading(world.provider.key, world.provider.key, made.epoch, REQUEST_ID, lambda *_: None),
            Reading(world.provider.key, world.client.key, bytes(8), REQUEST_ID, lambda *_: None),
            Reading(world.provider.key, world.client.key, made.epoch, b"q" * 16, lambda *_: None),
            Reading(world.provider.key, world.client.key, made.epoch, None, lambda *_: None),
            Reading(world.client.key, world.client.key, made.epoch, REQUEST_ID, lambda *_: None),
        ):
            with pytest.raises(FrameInvalid):
                read(raw, wrong)


PREV, ANSWERS = 2, 3
"""Fields of an entry on the wire."""


async def accepted(world: Table) -> tuple[Link, Place, Reading]:
    """The client's Accept, the place before it, and how the provider reads it who holds what is there and has said an
    offer."""
    offered = world.letters[1]
    accept = await world.by(world.client, Accept(world.provider.key, 0, "EUR"), offered.digest)
    made = accept.signed.entry

    def before(node: bytes, epoch: bytes, seq: int) -> bytes | None:
        return made.prev if (node, epoch, seq) == (made.node, made.epoch, made.seq - 1) else None

    reading = Reading(world.provider.key, made.node, made.epoch, REQUEST_ID, before, (offered.digest,))
    return accept, (place_of(made)[0], made.seq - 1), reading


def first_time(entry: Link, *heard: Item) -> Link:
    """The entry as it is sent first, by somebody who has heard these."""
    talk = Talk()
    for item in heard:
        talk.hear(item)
    said = talk.say(entry)
    assert isinstance(said, Link)
    return said


async def test_a_first_sending_leaves_out_what_its_receiver_knows_and_a_repetition_nothing() -> None:
    async with table() as world:
        accept, before, reading = await accepted(world)
        brief = first_time(accept, world.letters[1])
        [short] = unpack(pack([brief], before))
        [full] = unpack(pack([in_full(brief)], before))
        assert (short[PREV], short[ANSWERS]) == (b"", True)
        assert (full[PREV], full[ANSWERS]) == (accept.signed.entry.prev, world.letters[1].digest)
        assert read(short, reading) == read(full, reading) == accept


async def test_what_answers_something_older_says_what() -> None:
    async with table() as world:
        accept, before, _ = await accepted(world)
        newer = sign_letter(world.provider.identity.signer, offer(request_id=REQUEST_ID, number=1))
        [raw] = unpack(pack([first_time(accept, world.letters[1], newer)], before))
        assert (raw[PREV], raw[ANSWERS]) == (accept.signed.entry.prev, world.letters[1].digest)


async def test_the_entry_before_is_named_to_who_does_not_hold_exactly_that() -> None:
    async with table() as world:
        accept, (epoch, seq), reading = await accepted(world)
        brief = first_time(accept, world.letters[1])
        for held in (None, (epoch, seq - 1), (epoch, seq + 1), (bytes(len(epoch)), seq)):
            [raw] = unpack(pack([brief], held))
            assert (raw[PREV], raw[ANSWERS]) == (accept.signed.entry.prev, True)
            assert read(raw, reading) == accept


async def test_who_claimed_to_hold_more_than_it_does_can_not_read_before_the_repetition() -> None:
    async with table() as world:
        accept, before, reading = await accepted(world)
        ignorant = Reading(reading.me, reading.peer, reading.epoch, REQUEST_ID, lambda *_: None, reading.said)
        brief = first_time(accept, world.letters[1])
        with pytest.raises(FrameInvalid):
            read(unpack(pack([brief], before))[0], ignorant)
        assert read(unpack(pack([in_full(brief)], before))[0], ignorant) == accept


@pytest.mark.parametrize("crossed", range(MAX_SAID + 1))
async def test_what_crossed_with_newer_words_still_finds_what_it_answers(crossed: int) -> None:
    async with table() as world:
        accept, before, reading = await accepted(world)
        [raw] = unpack(pack([first_time(accept, world.letters[1])], before))
        provider = Talk()
        provider.say(world.letters[1])
        for number in range(crossed):
            provider.say(
                Letter(world.letters[1].message, sign_letter(PEER.signer, request(window_ms=number + 1)).signed)
            )

        def heard_after(said: Sequence[bytes]) -> Item:
            return read(raw, Reading(reading.me, reading.peer, reading.epoch, REQUEST_ID, reading.prev_lookup, said))

        if crossed < MAX_SAID:
            assert heard_after(provider.said) == accept
        else:
            with pytest.raises(FrameInvalid):
                heard_after(provider.said)


async def test_nothing_is_answered_where_nothing_was_said() -> None:
    async with table() as world:
        accept, before, reading = await accepted(world)
        [raw] = unpack(pack([first_time(accept, world.letters[1])], before))
        with pytest.raises(FrameInvalid):
            read(raw, Reading(reading.me, reading.peer, reading.epoch, REQUEST_ID, reading.prev_lookup))


NEITHER: tuple[Any, ...] = (False, 0, 1, "", b"\x01" * 31, [], {})


@pytest.mark.parametrize(
    ("place", "value"), [(PREV, True), (ANSWERS, b""), *itertools.product((PREV, ANSWERS), NEITHER)]
)
async def test_left_out_is_said_in_one_way_only(place: int, value: Any) -> None:
    async with table() as world:
        accept, before, reading = await accepted(world)
        [raw] = unpack(pack([first_time(accept, world.letters[1])], before))
        raw[place] = value
        with pytest.raises(FrameInvalid):
            read(raw, reading)


def test_what_the_receiver_knows_may_not_be_spelled_out() -> None:
    raw: list[Any] = [int(MessageType.DECLINE), {0: REQUEST_ID, 1: int(Reason.BUSY)}]
    with pytest.raises(FrameInvalid):
        read(raw, context())


@pytest.mark.parametrize(
    "value",
    [[1, 2], [True], [[]], [[1]], [[22, {}]] * (MAX_ITEMS + 1), {0: 1}, 5, "x", False, True],
    ids=str,
)
def test_what_is_no_frame_is_refused(value: Any) -> None:
    with pytest.raises(FrameInvalid):
        unpack(cbor.encode(value))


def test_a_frame_is_bounded_and_canonical() -> None:
    with pytest.raises(FrameInvalid):
        unpack(cbor.encode([[22, b"x" * MAX_FRAME_BYTES]], max_bytes=2 * MAX_FRAME_BYTES))
    with pytest.raises(FrameInvalid):
        unpack(b"\x81\x82\x18\x01\xa0")  # the type 1 in two bytes
    with pytest.raises(FrameInvalid):
        unpack(REFUSED)


json_like = st.recursive(
    st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=40) | st.text(max_size=8) | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(0, 23), inner, max_size=4),
    max_leaves=6,
)


@given(st.integers(0, 30), st.lists(json_like, min_size=1, max_size=6))
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_any_item_is_read_or_refused_and_nothing_else(kind: int, rest: list[Any]) -> None:
    try:
        item = read([kind, *rest], context())
    except FrameInvalid:
        return
    assert item.message


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_refused_and_nothing_else(data: bytes) -> None:
    try:
        items = unpack(data)
    except FrameInvalid:
        return
    assert len(items) <= MAX_ITEMS
    assert all(len(item) >= 2 for item in items)


def test_the_request_id_of_an_opening_is_found_before_it_is_checked() -> None:
    letter = sign_letter(PEER.signer, request(request_id=REQUEST_ID, provider=ME.public))
    assert request_id_in(unpack(pack([letter]))[0]) == REQUEST_ID
    assert request_id_in(unpack(pack([Plain(Resume(REQUEST_ID))]))[0]) == REQUEST_ID
    assert request_id_in([int(MessageType.REQUEST), {0: b"short"}]) is None
    assert request_id_in([int(MessageType.ALIVE), {0: REQUEST_ID}]) is None


@given(st.lists(st.integers(0, 2**32 - 1), max_size=20))
def test_what_fits_is_the_longest_beginning(numbers: list[int]) -> None:
    items = [Plain(Alive(number, number)) for number in numbers]
    taken = fitting(items)
    assert taken == items[: len(taken)]
    assert len(taken) == min(len(items), MAX_ITEMS)
    assert len(pack(taken)) <= MAX_FRAME_BYTES


def test_a_letter_names_what_was_signed() -> None:
    asked: Request = request(provider=ME.public)
    letter: Letter = sign_letter(PEER.signer, asked)
    assert letter.digest == letter.signed.hash
    assert Plain(Alive(0, 0)).digest == b""
