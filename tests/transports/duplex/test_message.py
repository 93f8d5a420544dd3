from hypothesis import given
from hypothesis import strategies as st

from transports.duplex.message import (
    MAX_MESSAGE_BYTES,
    MAX_NUMBER,
    SAID_BY_DIALER,
    WITHOUT_FRAME,
    Kind,
    Message,
    decode,
)
from transports.errors import Malformed
from transports.interface import MAX_FRAME_BYTES


@given(st.sampled_from(Kind), st.integers(1, MAX_NUMBER), st.binary(max_size=64))
def test_what_is_encoded_is_decoded(kind: Kind, number: int, frame: bytes) -> None:
    message = Message(kind, number, b"" if kind in WITHOUT_FRAME else frame)
    assert decode(message.encode(), from_dialer=kind in SAID_BY_DIALER) == message


@given(st.binary(max_size=40), st.booleans())
def test_what_is_decoded_is_what_would_have_been_encoded(data: bytes, from_dialer: bool) -> None:
    try:
        message = decode(data, from_dialer=from_dialer)
    except Malformed:
        return
    assert message.encode() == data


def test_the_largest_message_has_the_named_size() -> None:
    assert len(Message(Kind.PUSH, MAX_NUMBER, bytes(MAX_FRAME_BYTES)).encode()) == MAX_MESSAGE_BYTES
