"""Messages behind their lengths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports.duplex.message import MAX_MESSAGE_BYTES
from transports.errors import Malformed
from transports.libp2p.framing import Deframer, enframe

messages = st.lists(st.binary(min_size=1, max_size=300), max_size=6)


@given(messages, st.integers(1, 50))
def test_messages_come_as_they_went_however_they_are_cut(sent: list[bytes], piece: int) -> None:
    data, deframer = b"".join(map(enframe, sent)), Deframer()
    came = [message for at in range(0, len(data), piece) for message in deframer.feed(data[at : at + piece])]
    assert came == sent
    assert not deframer.amid_message


@given(st.binary(max_size=200))
def test_any_bytes_are_messages_or_malformed(data: bytes) -> None:
    deframer = Deframer()
    try:
        came = list(deframer.feed(data))
    except Malformed:
        return
    encoded = b"".join(map(enframe, came))
    assert data.startswith(encoded)
    assert deframer.amid_message is (len(encoded) < len(data))


def test_the_largest_message_passes_and_a_larger_one_does_not() -> None:
    largest = bytes(MAX_MESSAGE_BYTES)
    assert list(Deframer().feed(enframe(largest))) == [largest]
    with pytest.raises(Malformed):
        list(Deframer().feed(enframe(largest + b"\0")))


@pytest.mark.parametrize("data", [b"\x00", b"\x81\x00", b"\xff\xff\x01", b"\x80\x80", b"\xff\x7f"])
def test_lengths_that_no_message_has(data: bytes) -> None:
    with pytest.raises(Malformed):
        list(Deframer().feed(data))


def test_the_messages_before_a_bad_length_are_given() -> None:
    messages = Deframer().feed(enframe(b"good") + b"\x00")
    assert next(messages) == b"good"
    with pytest.raises(Malformed):
        next(messages)
