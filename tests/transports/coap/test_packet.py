import os

import pytest
from aiocoap.numbers.contentformat import ContentFormat
from aiocoap.numbers.optionnumbers import OptionNumber
from hypothesis import given
from hypothesis import strategies as st

from transports.coap.packet import (
    MAX_DATAGRAM_BYTES,
    MAX_OPTION_NUMBER,
    Block,
    Code,
    Kind,
    Packet,
    decode,
    empty,
    encode,
)

blocks = st.none() | st.builds(
    Block, st.integers(0, (1 << 20) - 1), st.booleans(), st.sampled_from([16, 32, 64, 128, 256, 512, 1024])
)
texts = st.lists(st.text(max_size=20), max_size=3).map(tuple)
packets = st.builds(
    Packet,
    kind=st.sampled_from(Kind),
    code=st.sampled_from([code for code in Code if code]),
    mid=st.integers(0, 65_535),
    token=st.binary(max_size=8),
    payload=st.binary(max_size=600),
    path=texts,
    query=texts,
    observe=st.none() | st.integers(0, (1 << 24) - 1),
    block1=blocks,
    block2=blocks,
    etag=st.none() | st.binary(min_size=1, max_size=8),
    request_tag=st.none() | st.binary(max_size=8),
    accept=st.none() | st.integers(0, 65_535),
    content_format=st.none() | st.integers(0, 65_535),
)


@given(packets)
def test_what_was_written_is_read_again(packet: Packet) -> None:
    assert decode(encode(packet)) == packet


def test_the_bytes_are_the_standards() -> None:
    # RFC 7252, appendix A, figure 16: a confirmable GET of /temperature with message id 0x7d34 and no token.
    written = encode(Packet(Kind.CONFIRMABLE, Code.GET, 0x7D34, path=("temperature",)))
    assert written == bytes.fromhex("40017d34bb") + b"temperature"
    assert encode(empty(Kind.RESET, 0x7D34)) == bytes.fromhex("70007d34")


@given(st.binary(max_size=80))
def test_no_bytes_raise(datagram: bytes) -> None:
    decode(datagram)
    decode(b"\x42\x02\x12\x34ab" + datagram)


@given(packets, st.data())
def test_no_damage_raises(packet: Packet, data: st.DataObject) -> None:
    datagram = bytearray(encode(packet))
    at = data.draw(st.integers(0, len(datagram) - 1))
    decode(bytes(datagram[:at]))
    datagram[at] ^= data.draw(st.integers(1, 255))
    decode(bytes(datagram))


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\x40\x01\x00",
        b"\x80\x01\x00\x01",  # version 2
        b"\x49\x01\x00\x01" + bytes(9),  # nine bytes of token
        b"\x44\x01\x00\x01abc",  # token cut short
        b"\x40\x00\x00\x01x",  # an empty message with content
        b"\x40\x02\x00\x01\xff",  # a payload of nothing
        b"\x40\x02\x00\x01\xd0",  # delta cut short
        b"\x40\x02\x00\x01\x0e\x01",  # length cut short
        b"\x40\x02\x00\x01\xf0",  # reserved delta
        b"\x40\x02\x00\x01\x1f",  # reserved length
        b"\x40\x02\x00\x01\xb5v2x",  # option longer than the datagram
        b"\x40\x02\x00\x01\xb1\xff",  # a path that is no text
        b"\x40\x02\x00\x01\xc3abc",  # three bytes of content format
        b"\x40\x02\x00\x01\xe0\x06\xf3",  # option 2,048
        b"\x40\x02\x00\x01\xd1\x0e\x07",  # the reserved block size
        b"\x40\x02\x00\x01\xff" + bytes(MAX_DATAGRAM_BYTES),
    ],
)
def test_what_is_no_message_is_none(datagram: bytes) -> None:
    assert decode(datagram) is None


def test_an_unknown_critical_option_is_noted_and_an_elective_one_ignored() -> None:
    critical, elective = decode(b"\x40\x02\x00\x01\xd0\x1c\xb1x"), decode(b"\x40\x02\x00\x01\xd0\x1d")
    assert critical is not None
    assert elective is not None
    assert (critical.has_unknown_critical, elective.has_unknown_critical) == (True, False)


def test_strangers_can_not_fill_the_codecs_tables() -> None:
    for number in range(0, 65_536, 257):
        datagram = b"\x40\x02\x00\x01\xe0" + number.to_bytes(2, "big")
        decode(datagram)
    for _ in range(50):
        decode(b"\x40\x02\x00\x01\xcd\x1b" + os.urandom(40))
    assert max(OptionNumber._value2member_map_) <= MAX_OPTION_NUMBER
    assert max(ContentFormat._value2member_map_) <= 65_535


def test_codes_are_written_as_people_write_them() -> None:
    assert Packet(Kind.ACKNOWLEDGEMENT, Code.NOT_FOUND, 1).code_text == "4.04"
