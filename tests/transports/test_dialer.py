"""The dialing machine: both ways in, and what spoils them."""

import pytest

from tests.transports.pairs import (
    HOME,
    HOME_KEY,
    VEHICLE,
    VEHICLE_KEY,
    accepted,
    acceptor,
    bit_flips,
    dialer,
    entropy,
    named,
    open_known,
    open_stranger,
    opened,
    sent,
    third_frame,
)
from transports.dialer import DialStage
from transports.errors import (
    BadKey,
    Forged,
    FrameTooLarge,
    HandshakeRefused,
    Malformed,
    OwnIdentity,
    Replay,
)
from transports.handshake import (
    MAX_INTRODUCTION_BYTES,
    FrameKind,
    Handshake,
    Introduction,
    Pattern,
    pack_frame,
)
from transports.interface import MAX_FRAME_BYTES
from transports.keys import KEY_BYTES, NodeKeys
from transports.secure import Dialer


def test_a_known_peer_in_one_round_trip() -> None:
    ours, theirs = open_known(acceptor())
    assert (ours.peer, theirs.peer) == (HOME_KEY, VEHICLE_KEY)
    assert (ours.payload, theirs.payload) == (b"offer", b"request")
    assert not ours.session.established
    assert ours.session.local_id == theirs.session.remote_id
    assert ours.session.remote_id == theirs.session.local_id


def test_a_stranger_in_two_round_trips() -> None:
    ours, theirs = open_stranger(acceptor())
    assert (ours.peer, theirs.peer) == (HOME_KEY, VEHICLE_KEY)
    assert (ours.payload, theirs.payload) == (b"offer", b"request")
    assert ours.session.established
    assert not theirs.session.established


def test_a_stranger_is_named_before_we_introduce_ourselves() -> None:
    host, guest = acceptor(), dialer(None)
    assert guest.peer is None
    assert named(guest.receive(sent(host.receive(guest.first(), "guest", 0)))) == HOME_KEY
    assert guest.peer == HOME_KEY
    assert host.links == 0
    third = guest.introduce(b"request to " + HOME_KEY)
    assert accepted(host.receive(third, "guest", 0)).payload == b"request to " + HOME_KEY


def test_an_introduction_has_its_one_moment() -> None:
    host, guest = acceptor(), dialer(None)
    with pytest.raises(RuntimeError, match="named"):
        guest.introduce(b"")
    with pytest.raises(RuntimeError, match="stranger"):
        guest.first(b"payload")
    third_frame(host, guest)
    with pytest.raises(RuntimeError, match="once"):
        guest.introduce(b"")
    with pytest.raises(RuntimeError, match="named"):
        dialer().introduce(b"")


def test_the_question_of_a_stranger_shows_nothing() -> None:
    first, other = dialer(None, seed=2).first(), dialer(None, seed=3).first()
    assert first[0] == other[0] == FrameKind.XX1
    assert first[33:] == other[33:] == bytes(4)
    assert VEHICLE_KEY not in first


def test_a_chosen_link_id_is_used() -> None:
    guest = Dialer(VEHICLE, remote=HOME_KEY, link_id=8, entropy=entropy(2))
    arrived = accepted(acceptor().receive(guest.first(), "guest", 0))
    assert arrived.session.remote_id == opened(guest.receive(arrived.reply(b""))).session.local_id == 8


def test_the_largest_payload_fits_and_one_byte_more_may_be_shortened() -> None:
    room = MAX_INTRODUCTION_BYTES - 3
    guest = dialer()
    with pytest.raises(FrameTooLarge):
        guest.first(bytes(room + 1))
    assert len(guest.first(bytes(room))) == MAX_FRAME_BYTES
    host, guest = acceptor(), dialer(None)
    named(guest.receive(sent(host.receive(guest.first(), "guest", 0))))
    with pytest.raises(FrameTooLarge):
        guest.introduce(bytes(room + 1))
    assert accepted(host.receive(guest.introduce(bytes(room)), "guest", 0)).payload == bytes(room)


def test_a_known_answer_with_any_bit_flipped_is_refused() -> None:
    for at in range(0, 62 * 8, 7):
        host, guest = acceptor(), dialer()
        answer = accepted(host.receive(guest.first(), "guest", 0)).reply(b"offer")
        with pytest.raises((HandshakeRefused, Malformed)):
            guest.receive(bit_flips(answer)[at % (len(answer) * 8)])


def test_a_strangers_answer_with_any_bit_flipped_is_refused() -> None:
    for at in range(0, 100 * 8, 7):
        host, guest = acceptor(), dialer(None)
        answer = sent(host.receive(guest.first(), "guest", 0))
        with pytest.raises((HandshakeRefused, Malformed)):
            guest.receive(bit_flips(answer)[at])


def test_a_refused_message_spends_the_dialer() -> None:
    host, guest = acceptor(), dialer()
    answer = accepted(host.receive(guest.first(), "guest", 0)).reply(b"offer")
    with pytest.raises(HandshakeRefused):
        guest.receive(answer[:-1])
    assert guest.stage is DialStage.FAILED
    with pytest.raises(HandshakeRefused):
        guest.receive(answer)


def test_a_frame_out_of_turn_changes_nothing() -> None:
    host, guest = acceptor(), dialer()
    with pytest.raises(HandshakeRefused):
        guest.receive(b"\2" + bytes(60))
    first = guest.first()
    for frame in (first, b"\4" + bytes(99), b"\x40\x50" + bytes(20)):
        with pytest.raises(HandshakeRefused):
            guest.receive(frame)
    for frame in (b"", b"\0", b"\7abc", b"\x40\2" + bytes(60)):
        with pytest.raises(Malformed):
            guest.receive(frame)
    answer = accepted(host.receive(first, "guest", 0)).reply(b"offer")
    assert opened(guest.receive(answer)).payload == b"offer"
    with pytest.raises(HandshakeRefused):
        guest.receive(answer)


def test_while_the_first_record_is_awaited_forgeries_change_nothing() -> None:
    host, guest = acceptor(), dialer(None)
    answer = accepted(host.receive(third_frame(host, guest), "guest", 0)).reply(b"offer")
    for flipped in bit_flips(answer)[16:]:
        with pytest.raises(Forged):
            guest.receive(flipped)
    session = opened(guest.receive(answer)).session
    with pytest.raises(Replay):
        session.open(answer)


def test_there_is_one_first_frame() -> None:
    guest = dialer()
    guest.first()
    with pytest.raises(RuntimeError, match="one first"):
        guest.first()


def test_dialing_oneself_is_refused() -> None:
    with pytest.raises(OwnIdentity):
        dialer(VEHICLE_KEY)
    host, guest = acceptor(seed=VEHICLE), dialer(None)
    with pytest.raises(OwnIdentity):
        guest.receive(sent(host.receive(guest.first(), "guest", 0)))


@pytest.mark.parametrize("remote", [b"", bytes(32), b"\xff" * 32, HOME_KEY[:-1]])
def test_dialing_what_is_no_key_is_refused(remote: bytes) -> None:
    with pytest.raises(BadKey):
        dialer(remote)


def _answer_as_home(pattern: Pattern, guest: Dialer, introduction: Introduction) -> bytes:
    """An acceptor that holds the right key and says something wrong."""
    keys = NodeKeys.from_seed(HOME)
    host = Handshake(pattern, keys, initiator=False, ephemeral=entropy(5)(KEY_BYTES))
    host.read(guest.first()[1:])
    return pack_frame(FrameKind.IK2 if pattern is Pattern.IK else FrameKind.XX2, host.write(introduction.pack()))


def test_the_other_key_with_the_same_exchange_key_is_refused() -> None:
    guest = dialer()
    wrong = Introduction(1 - NodeKeys.from_seed(HOME).sign_bit, 64)
    with pytest.raises(BadKey):
        guest.receive(_answer_as_home(Pattern.IK, guest, wrong))


def test_a_strangers_identity_comes_alone() -> None:
    guest = dialer(None)
    talkative = Introduction(NodeKeys.from_seed(HOME).sign_bit, 64, b"payload")
    with pytest.raises(Malformed):
        guest.receive(_answer_as_home(Pattern.XX, guest, talkative))
