"""The accepting machine before strangers: silent where it must be, bounded, and never surprised."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transports.pairs import (
    HOME,
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
    reason,
    sent,
    third_frame,
)
from transports.errors import FrameTooLarge
from transports.handshake import (
    MAX_INTRODUCTION_BYTES,
    FrameKind,
    Handshake,
    Introduction,
    Pattern,
    pack_frame,
)
from transports.interface import MAX_FRAME_BYTES
from transports.keys import NodeKeys
from transports.secure import Accepted, Dialer, Limits, Outcome, Reason, Received, Silence, Visibility

ROOMY = Limits(burst=1_000_000)


def received(outcome: Outcome) -> bytes:
    assert isinstance(outcome, Received)
    return outcome.plaintext


def test_records_pass_both_ways_whichever_way_in() -> None:
    for way_in in (open_known, open_stranger):
        host = acceptor()
        ours, theirs = way_in(host)
        outcome = host.receive(ours.session.seal(b"accept"), "guest", 1)
        assert received(outcome) == b"accept"
        assert theirs.session.established
        assert ours.session.open(theirs.session.seal(b"confirm")) == b"confirm"
        assert ours.session.established


def test_closed_is_silent_to_every_handshake() -> None:
    host = acceptor(Visibility.CLOSED)
    for remote in (NodeKeys.from_seed(HOME).public, None):
        assert reason(host.receive(dialer(remote).first(), "guest", 0)) is Reason.NOT_ADMITTED


def test_known_answers_listed_keys_only() -> None:
    assert accepted(acceptor(Visibility.KNOWN).receive(dialer().first(), "guest", 0)).peer == VEHICLE_KEY
    host = acceptor(Visibility.KNOWN, known=lambda _: False)
    assert reason(host.receive(dialer().first(), "guest", 0)) is Reason.NOT_LISTED
    assert reason(host.receive(dialer(None).first(), "guest", 0)) is Reason.NOT_ADMITTED
    assert host.links == host.half_open == 0


def test_open_answers_keys_that_are_not_listed() -> None:
    host = acceptor(Visibility.OPEN, known=lambda _: False)
    assert accepted(host.receive(dialer().first(), "guest", 0)).peer == VEHICLE_KEY


def test_closing_the_door_silences_those_outside_and_keeps_those_inside() -> None:
    host = acceptor()
    ours, _ = open_known(host)
    third = third_frame(host, dialer(None))
    host.visibility = Visibility.CLOSED
    assert reason(host.receive(third, "guest", 0)) is Reason.NOT_ADMITTED
    assert received(host.receive(ours.session.seal(b"stop"), "guest", 0)) == b"stop"


def test_answers_of_an_acceptor_are_no_questions() -> None:
    host = acceptor()
    for kind in (0, FrameKind.IK2, FrameKind.XX2, 6, 7):
        assert reason(host.receive(bytes([kind]) + bytes(99), "guest", 0)) is Reason.NOT_ADMITTED


def test_the_answer_to_a_stranger_is_no_amplifier() -> None:
    question = dialer(None).first()
    answer = sent(acceptor().receive(question, "forged", 0))
    assert len(answer) < 3 * len(question)
    shorter = acceptor().receive(question[:-1], "forged", 0)
    assert reason(shorter) is Reason.MALFORMED


def test_every_flipped_bit_of_a_known_opening_is_met_with_silence() -> None:
    first = dialer().first()
    host = acceptor(limits=ROOMY)
    for flipped in bit_flips(first)[::5]:
        assert isinstance(host.receive(flipped, "guest", 0), Silence)
    assert host.links == 0
    accepted(host.receive(first, "guest", 0))


def test_a_forged_third_message_does_not_spoil_the_handshake() -> None:
    host, guest = acceptor(limits=ROOMY), dialer(None)
    third = third_frame(host, guest)
    for flipped in bit_flips(third)[::5]:
        assert isinstance(host.receive(flipped, "rival", 0), Silence)
    arrived = accepted(host.receive(third, "guest", 0))
    assert opened(guest.receive(arrived.reply(b"offer"))).payload == b"offer"
    assert host.half_open == 0


def test_every_flipped_bit_of_a_record_is_met_with_silence() -> None:
    host = acceptor()
    ours, theirs = open_known(host)
    record = ours.session.seal(b"start")
    for flipped in bit_flips(record):
        assert isinstance(host.receive(flipped, "rival", 0), Silence)
    assert not theirs.session.established
    assert received(host.receive(record, "guest", 0)) == b"start"
    assert reason(host.receive(record, "guest", 0)) is Reason.REPLAY


@settings(max_examples=300)
@given(st.binary(max_size=200), st.integers(0, 5), st.sampled_from(list(Visibility)))
def test_any_bytes_are_met_without_an_exception(data: bytes, kind: int, visibility: Visibility) -> None:
    host = acceptor(visibility)
    key = data[:32].ljust(32, b"\0")
    for frame in (data, bytes([kind]) + data, bytes([kind]) + key + bytes(4), bytes(MAX_FRAME_BYTES + 1)):
        outcome = host.receive(frame, "stranger", 0)
        assert isinstance(outcome, Silence) or frame[0] == FrameKind.XX1
    assert host.links == 0


def test_a_known_opening_that_comes_again_gets_the_same_answer_and_no_second_link() -> None:
    host, guest = acceptor(), dialer()
    first = guest.first()
    arrived = accepted(host.receive(first, "guest", 0))
    assert reason(host.receive(first, "guest", 1)) is Reason.NOT_YET_ANSWERED
    answer = arrived.reply(b"offer")
    assert sent(host.receive(first, "replayer", 2)) == answer
    assert host.links == 1
    ours = opened(guest.receive(answer))
    assert received(host.receive(ours.session.seal(b"accept"), "guest", 3)) == b"accept"
    assert sent(host.receive(first, "replayer", 4)) == answer
    assert received(host.receive(ours.session.seal(b"ready"), "guest", 5)) == b"ready"


def test_a_replay_that_is_no_longer_remembered_displaces_nothing_and_proves_nothing() -> None:
    host = acceptor(limits=Limits(openings=1))
    guest = dialer()
    first = guest.first()
    ours = opened(guest.receive(accepted(host.receive(first, "guest", 0)).reply(b"offer")))
    host.receive(ours.session.seal(b"accept"), "guest", 0)
    open_known(host, seed=9)
    replayed = accepted(host.receive(first, "replayer", 1))
    replayed.reply(b"offer")
    assert received(host.receive(ours.session.seal(b"ready"), "guest", 2)) == b"ready"
    assert not replayed.session.established


def test_a_strangers_third_message_that_comes_again_gets_the_same_answer() -> None:
    host, guest = acceptor(), dialer(None)
    third = third_frame(host, guest)
    answer = accepted(host.receive(third, "guest", 0)).reply(b"offer")
    assert sent(host.receive(third, "guest", 1)) == answer
    assert host.links == 1


def test_a_forgotten_session_can_not_be_replayed_to_life() -> None:
    host, guest = acceptor(), dialer()
    first = guest.first()
    arrived = accepted(host.receive(first, "guest", 0))
    ours = opened(guest.receive(arrived.reply(b"offer")))
    assert host.holds(arrived.session)
    host.forget(arrived.session)
    host.forget(arrived.session)
    assert not host.holds(arrived.session)
    assert reason(host.receive(first, "replayer", 1)) is Reason.REPLAYED_HANDSHAKE
    assert reason(host.receive(ours.session.seal(b"accept"), "guest", 1)) is Reason.UNKNOWN_LINK


def test_an_opening_is_answered_once() -> None:
    for way_in in (open_known, open_stranger):
        _, arrived = way_in(acceptor())
        with pytest.raises(RuntimeError, match="once"):
            arrived.reply(b"another offer")


def test_an_answer_that_does_not_fit_may_be_shortened() -> None:
    guest = dialer()
    arrived = accepted(acceptor().receive(guest.first(), "guest", 0))
    with pytest.raises(FrameTooLarge):
        arrived.reply(bytes(MAX_INTRODUCTION_BYTES))
    assert opened(guest.receive(arrived.reply(b"short"))).payload == b"short"


def test_an_echo_of_ourselves_is_met_with_silence() -> None:
    host = acceptor(seed=VEHICLE)
    keys = NodeKeys.from_seed(VEHICLE)
    echo = Handshake(Pattern.IK, keys, initiator=True, ephemeral=bytes([7]) * 32, remote=keys.exchange).write(
        Introduction(keys.sign_bit, 64).pack()
    )
    assert reason(host.receive(pack_frame(FrameKind.IK1, echo), "mirror", 0)) is Reason.OWN_IDENTITY


def test_small_order_keys_are_met_with_silence() -> None:
    host = acceptor()
    for u in (0, 1, 2**255 - 20):
        key = u.to_bytes(32, "little")
        for frame in (b"\1" + key + bytes(96), b"\3" + key + bytes(4)):
            assert reason(host.receive(frame, "hostile", 0)) in {Reason.HANDSHAKE_REFUSED, Reason.BAD_KEY}
    assert host.half_open == 0


@pytest.mark.parametrize("u", [0, 1, 2**255 - 20])
def test_a_static_key_of_small_order_is_met_with_silence(u: int) -> None:
    home, vehicle = NodeKeys.from_seed(HOME), NodeKeys.from_seed(VEHICLE)
    hostile = Handshake(Pattern.IK, vehicle, initiator=True, ephemeral=bytes([7]) * 32, remote=home.exchange)
    hostile._state.s.public_bytes = u.to_bytes(32, "little")
    frame = pack_frame(FrameKind.IK1, hostile.write(Introduction(0, 64).pack()))
    assert reason(acceptor().receive(frame, "hostile", 0)) is Reason.HANDSHAKE_REFUSED


def test_half_open_handshakes_are_bounded_and_the_oldest_gives_way() -> None:
    host = acceptor(limits=Limits(half_open=3))
    guests = [dialer(None, seed=seed) for seed in range(4)]
    thirds = [third_frame(host, guest, source=f"guest {at}") for at, guest in enumerate(guests)]
    assert host.half_open == 3
    assert reason(host.receive(thirds[0], "guest 0", 0)) is Reason.UNKNOWN_LINK
    assert isinstance(host.receive(thirds[1], "guest 1", 0), Accepted)


def test_half_open_handshakes_expire() -> None:
    host = acceptor(limits=Limits(half_open_ms=1_000))
    in_time, late = dialer(None, seed=2), dialer(None, seed=3)
    thirds = [third_frame(host, in_time), third_frame(host, late)]
    assert isinstance(host.receive(thirds[0], "guest", 999), Accepted)
    assert reason(host.receive(thirds[1], "guest", 1_000)) is Reason.UNKNOWN_LINK
    assert host.half_open == 0


def test_one_source_can_not_push_the_others_out() -> None:
    limits = Limits()
    assert limits.burst + limits.half_open_ms // limits.refill_ms < limits.half_open


def test_handshakes_of_one_source_are_bounded_in_rate_and_records_are_not() -> None:
    host = acceptor(limits=Limits(burst=2, refill_ms=100))
    ours, _ = open_known(host)  # from a source of its own
    for seed in (20, 21):
        sent(host.receive(dialer(None, seed=seed).first(), "flood", 0))
    first = dialer(None, seed=22).first()
    assert reason(host.receive(first, "flood", 99)) is Reason.TOO_OFTEN
    sent(host.receive(first, "elsewhere", 99))
    sent(host.receive(first, "flood", 100))
    for _ in range(10):
        assert received(host.receive(ours.session.seal(b"status"), "flood", 100)) == b"status"


def test_links_are_bounded_and_the_idle_give_way() -> None:
    host = acceptor(limits=Limits(established=2))
    links = [open_known(host, seed=seed)[0].session for seed in (2, 3, 4)]
    for at in (0, 1, 0, 2):
        received(host.receive(links[at].seal(b""), "guest", at))
    assert host.links == 2
    assert received(host.receive(links[0].seal(b""), "guest", 9)) == b""
    assert reason(host.receive(links[1].seal(b""), "guest", 9)) is Reason.UNKNOWN_LINK


def test_a_flood_of_openings_does_not_touch_established_links() -> None:
    host = acceptor(limits=Limits(fresh=2))
    ours, _ = open_known(host)
    host.receive(ours.session.seal(b"accept"), "guest", 0)
    for seed in range(10, 20):
        open_known(host, seed=seed)
    assert host.links == 3
    assert received(host.receive(ours.session.seal(b"ready"), "guest", 0)) == b"ready"


def test_a_link_without_a_record_expires() -> None:
    host = acceptor(limits=Limits(fresh_ms=1_000))
    ours, _ = open_known(host)
    proven, _ = open_known(host, seed=3)
    host.receive(proven.session.seal(b""), "guest", 999)
    assert reason(host.receive(ours.session.seal(b""), "guest", 1_000)) is Reason.UNKNOWN_LINK
    assert received(host.receive(proven.session.seal(b""), "guest", 9_999_999)) == b""


def test_one_seed_of_entropy_gives_one_run() -> None:
    def run() -> list[bytes]:
        host = acceptor()
        guest = Dialer(VEHICLE, remote=None, entropy=entropy(2))
        first = guest.first()
        second = sent(host.receive(first, "guest", 0))
        named(guest.receive(second))
        third = guest.introduce(b"request")
        return [first, second, third, accepted(host.receive(third, "guest", 0)).reply(b"offer")]

    assert run() == run()
