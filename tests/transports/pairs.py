"""Two nodes and the frames between them, for the tests of the secure link."""

import random
from collections.abc import Callable

from transports.keys import NodeKeys
from transports.secure import (
    Accepted,
    Acceptor,
    Dialer,
    Limits,
    Named,
    Opened,
    Outcome,
    Reason,
    Send,
    Silence,
    Visibility,
)

VEHICLE = bytes(range(32))
HOME = bytes(range(100, 132))
VEHICLE_KEY = NodeKeys.from_seed(VEHICLE).public
HOME_KEY = NodeKeys.from_seed(HOME).public


def entropy(seed: int) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


def acceptor(
    visibility: Visibility = Visibility.OPEN,
    *,
    known: Callable[[bytes], bool] = lambda key: key == VEHICLE_KEY,
    limits: Limits | None = None,
    seed: bytes = HOME,
) -> Acceptor:
    return Acceptor(seed, visibility=visibility, known=known, limits=limits, entropy=entropy(1))


def dialer(remote: bytes | None = HOME_KEY, *, seed: int = 2) -> Dialer:
    return Dialer(VEHICLE, remote=remote, entropy=entropy(seed))


def question(guest: Dialer, payload: bytes = b"request") -> bytes:
    """The first frame, with the payload where it goes there."""
    return guest.first(payload if guest.peer else b"")


def accepted(outcome: Outcome) -> Accepted:
    assert isinstance(outcome, Accepted)
    return outcome


def sent(outcome: Outcome) -> bytes:
    assert isinstance(outcome, Send)
    return outcome.frame


def reason(outcome: Outcome) -> Reason:
    assert isinstance(outcome, Silence)
    return outcome.reason


def named(answer: Named | Opened) -> bytes:
    assert isinstance(answer, Named)
    return answer.peer


def opened(answer: Named | Opened) -> Opened:
    assert isinstance(answer, Opened)
    return answer


def open_known(host: Acceptor, *, seed: int = 2, now_ms: int = 0) -> tuple[Opened, Accepted]:
    """Both ends of a link opened by IK."""
    guest = dialer(seed=seed)
    arrived = accepted(host.receive(question(guest), f"guest {seed}", now_ms))
    return opened(guest.receive(arrived.reply(b"offer"))), arrived


def third_frame(
    host: Acceptor, guest: Dialer, payload: bytes = b"request", *, source: str = "guest", now_ms: int = 0
) -> bytes:
    """XX up to the dialer's second frame."""
    named(guest.receive(sent(host.receive(guest.first(), source, now_ms))))
    return guest.introduce(payload)


def open_stranger(host: Acceptor, *, seed: int = 2, now_ms: int = 0) -> tuple[Opened, Accepted]:
    """Both ends of a link opened by XX."""
    guest = dialer(None, seed=seed)
    arrived = accepted(host.receive(third_frame(host, guest, now_ms=now_ms), "guest", now_ms))
    return opened(guest.receive(arrived.reply(b"offer"))), arrived


def bit_flips(frame: bytes) -> list[bytes]:
    """The frame with each of its bits flipped in turn."""
    return [
        frame[:at] + bytes([frame[at] ^ 1 << bit]) + frame[at + 1 :] for at in range(len(frame)) for bit in range(8)
    ]
