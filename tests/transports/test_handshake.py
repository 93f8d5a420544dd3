"""Handshake messages: what they hold, and how each is refused."""

import pytest

from tests.transports.pairs import HOME, VEHICLE, bit_flips, entropy
from transports.errors import BadKey, FrameTooLarge, HandshakeRefused, Malformed, OwnIdentity
from transports.handshake import (
    LINK_ID_MIN,
    MAX_INTRODUCTION_BYTES,
    PROLOGUE,
    Handshake,
    Introduction,
    Pattern,
    check_link_id,
    draw_link_id,
)
from transports.keys import NodeKeys
from transports.varint import encode_varint

DIALER, ACCEPTOR = NodeKeys.from_seed(VEHICLE), NodeKeys.from_seed(HOME)


def pair(
    pattern: Pattern, *, prologue: bytes = PROLOGUE, dialer: NodeKeys = DIALER, patterns: Pattern | None = None
) -> tuple[Handshake, Handshake]:
    remote = ACCEPTOR.exchange if pattern is Pattern.IK else None
    first = Handshake(pattern, dialer, initiator=True, ephemeral=bytes([7]) * 32, remote=remote, prologue=prologue)
    second = Handshake(patterns or pattern, ACCEPTOR, initiator=False, ephemeral=bytes([9]) * 32)
    return first, second


def run(pattern: Pattern, messages: int) -> tuple[Handshake, Handshake, list[bytes]]:
    """A handshake after so many messages, with those."""
    sides = pair(pattern)
    written = []
    for turn in range(messages):
        written.append(sides[turn % 2].write(b"%d" % turn))
        assert sides[1 - turn % 2].read(written[-1]) == b"%d" % turn
    return *sides, written


@pytest.mark.parametrize(("pattern", "messages"), [(Pattern.IK, 2), (Pattern.XX, 3)])
def test_both_sides_end_with_the_same_keys_and_know_each_other(pattern: Pattern, messages: int) -> None:
    dialer, acceptor, _ = run(pattern, messages)
    ours, theirs = dialer.finish(), acceptor.finish()
    assert (ours.send, ours.receive) == (theirs.receive, theirs.send)
    assert ours.send != ours.receive
    assert dialer.identify(Introduction(ACCEPTOR.sign_bit, 8)) == ACCEPTOR.public
    assert acceptor.identify(Introduction(DIALER.sign_bit, 8)) == DIALER.public
    assert "send" not in repr(ours)


@pytest.mark.parametrize(("pattern", "messages"), [(Pattern.IK, 2), (Pattern.XX, 3)])
def test_the_same_inputs_give_the_same_bytes(pattern: Pattern, messages: int) -> None:
    assert run(pattern, messages)[2] == run(pattern, messages)[2]


@pytest.mark.parametrize(("pattern", "number"), [(Pattern.IK, 0), (Pattern.IK, 1), (Pattern.XX, 1), (Pattern.XX, 2)])
def test_every_flipped_bit_is_refused(pattern: Pattern, number: int) -> None:
    dialer, acceptor, _ = run(pattern, number)
    message = (dialer, acceptor)[number % 2].write(b"payload")
    for flipped in bit_flips(message)[::5]:
        _assert_refused(pattern, number, flipped)
    for length in range(0, len(message), 9):
        _assert_refused(pattern, number, message[:length])
    _assert_refused(pattern, number, message + b"\0")


def _assert_refused(pattern: Pattern, number: int, message: bytes) -> None:
    dialer, acceptor, _ = run(pattern, number)
    with pytest.raises(HandshakeRefused):
        (acceptor, dialer)[number % 2].read(message)


@pytest.mark.parametrize("prologue", [b"v2x-trade/2", b"other/1"])
def test_another_protocol_or_version_is_refused(prologue: bytes) -> None:
    dialer, acceptor = pair(Pattern.IK, prologue=prologue)
    with pytest.raises(HandshakeRefused):
        acceptor.read(dialer.write(b""))
    dialer, acceptor = pair(Pattern.XX, prologue=prologue)
    acceptor.read(dialer.write(b""))
    with pytest.raises(HandshakeRefused):
        dialer.read(acceptor.write(b""))


def test_another_pattern_is_refused() -> None:
    dialer, acceptor = pair(Pattern.IK, patterns=Pattern.XX)
    acceptor.read(dialer.write(b""))
    with pytest.raises(HandshakeRefused):
        dialer.read(acceptor.write(b""))


@pytest.mark.parametrize("u", [0, 1, 2**255 - 20])
def test_ephemeral_keys_of_small_order_are_refused(u: int) -> None:
    _, acceptor = pair(Pattern.XX)
    acceptor.read(u.to_bytes(32, "little"))
    with pytest.raises(BadKey):
        acceptor.write(b"")
    _, acceptor = pair(Pattern.IK)
    with pytest.raises(HandshakeRefused):
        acceptor.read(u.to_bytes(32, "little") + bytes(64))


def test_ephemeral_keys_that_are_not_reduced_are_refused() -> None:
    for u in (2**255 - 19, 2**255 + 9):
        _, acceptor = pair(Pattern.XX)
        with pytest.raises(BadKey):
            acceptor.read(u.to_bytes(32, "little"))


def test_our_own_key_as_peer_is_refused() -> None:
    dialer, acceptor = pair(Pattern.IK, dialer=ACCEPTOR)
    acceptor.read(dialer.write(b""))
    with pytest.raises(OwnIdentity):
        acceptor.identify(Introduction(1 - ACCEPTOR.sign_bit, 8))


def test_an_introduction_comes_back() -> None:
    introduction = Introduction(1, 1 << 40, b"hello")
    assert Introduction.unpack(introduction.pack()) == introduction


@pytest.mark.parametrize("data", [b"", b"\0", b"\2\x08", b"\0\x07", b"\1\x40\x08", b"\0\x80"])
def test_broken_introductions_are_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        Introduction.unpack(data)


def test_an_introduction_is_bounded() -> None:
    room = MAX_INTRODUCTION_BYTES - 3
    assert len(Introduction(0, 64, bytes(room)).pack()) == MAX_INTRODUCTION_BYTES
    with pytest.raises(FrameTooLarge):
        Introduction(0, 64, bytes(room + 1)).pack()


def test_drawn_link_ids_are_two_bytes_and_never_taken() -> None:
    drawn: set[int] = set()
    source = entropy(3)
    for _ in range(16_320):
        drawn.add(draw_link_id(source, drawn.__contains__))
    assert len(drawn) == 16_320
    assert {len(encode_varint(link_id)) for link_id in drawn} == {2}


@pytest.mark.parametrize("link_id", [0, LINK_ID_MIN - 1, 1 << 62])
def test_chosen_link_ids_are_checked(link_id: int) -> None:
    with pytest.raises(ValueError, match="link id"):
        check_link_id(link_id)
