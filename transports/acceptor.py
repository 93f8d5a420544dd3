"""The accepting side of all secure links of a node, as a machine: frames and the time in, outcomes out.

It is what strangers talk to. It never raises on what they send, holds bounded state, says nothing that the owner's
visibility does not allow, and writes nothing down.
"""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum

from transports.dialer import Opened
from transports.errors import Malformed, TransportError
from transports.handshake import (
    LINK_ID_MIN,
    XX1_PADDING,
    Entropy,
    FrameKind,
    Handshake,
    Introduction,
    Pattern,
    draw_link_id,
    pack_frame,
)
from transports.interface import MAX_FRAME_BYTES
from transports.keys import KEY_BYTES, NodeKeys
from transports.link_table import LinkTable
from transports.rates import SourceRates
from transports.records import Session
from transports.varint import decode_varint


class Visibility(Enum):
    """To whose handshakes the owner lets the node answer. Links that are open stay open in each of them."""

    CLOSED = "closed"
    """To nobody's."""
    KNOWN = "known"
    """Only to IK from a listed key; a prober learns nothing."""
    OPEN = "open"
    """To IK from any key, and to XX: any prober learns our identity."""


ADMITTED: Mapping[Visibility, frozenset[FrameKind]] = {
    Visibility.CLOSED: frozenset(),
    Visibility.KNOWN: frozenset({FrameKind.IK1}),
    Visibility.OPEN: frozenset({FrameKind.IK1, FrameKind.XX1, FrameKind.XX3}),
}
"""Which handshake frames are read at all. The others an acceptor never gets."""


class Reason(StrEnum):
    """Why nothing was answered: for the log of this node, never for the peer."""

    NOT_ADMITTED = "not_admitted"
    NOT_LISTED = "not_listed"
    TOO_OFTEN = "too_often"
    MALFORMED = "malformed"
    HANDSHAKE_REFUSED = "handshake_refused"
    BAD_KEY = "bad_key"
    OWN_IDENTITY = "own_identity"
    UNKNOWN_LINK = "unknown_link"
    FORGED = "forged"
    REPLAY = "replay"
    REPLAYED_HANDSHAKE = "replayed_handshake"
    NOT_YET_ANSWERED = "not_yet_answered"


@dataclass(frozen=True, slots=True)
class Silence:
    """Send nothing at all."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Send:
    """Answer with this frame; nobody is known yet (XX), or the same answer goes out again."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Accepted(Opened):
    """A peer opened a link with `payload`. `reply`, called at most once, makes the frame that answers it.

    Its handshake may be a replay until `session.established`: change nothing durable before.
    `reply` raises FrameTooLarge for a payload that does not fit and may then be called again.
    """

    reply: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Received:
    """A record of an open link: its plaintext. `session` is now established."""

    session: Session
    plaintext: bytes


Outcome = Silence | Send | Accepted | Received


@dataclass(frozen=True, slots=True)
class Limits:
    """What strangers can make an acceptor hold or do; every count is 1 or more."""

    half_open: int = 4_096
    """Handshakes between XX1 and XX3, half a KiB each. More than a small computer can answer in the round trip of a
    slow bearer: a flood, from however many sources, costs it time and not the place of an honest stranger."""
    half_open_ms: int = 30_000
    """Twice the time in which a set-up on the slowest bearer ends under loss."""
    fresh: int = 256
    """Links without a record yet."""
    fresh_ms: int = 600_000
    """A person may look at offers for some minutes before the first record."""
    established: int = 1_024
    """A coordinator's members; less than 1 MiB."""
    openings: int = 1_024
    """Opening frames that are known when they come again."""
    burst: int = 16
    """Handshake frames of one source at once: several vehicles behind one address that arrive together."""
    refill_ms: int = 250
    """And then four a second, some milliseconds of work on a small computer."""
    sources: int = 1_024
    """Sources that are told apart."""


@dataclass(frozen=True, slots=True)
class _HalfOpen:
    """All that it takes to read XX3, as bytes: a refused XX3 then can't spoil the handshake of the honest dialer."""

    question: bytes
    ephemeral: bytes
    since_ms: int


@dataclass(slots=True)
class _Opening:
    session: Session
    answer: bytes | None = None


class Acceptor:
    """known: whether an Ed25519 key is on the owner's list. `visibility` may be set at any time."""

    def __init__(
        self,
        seed: bytes,
        *,
        visibility: Visibility,
        known: Callable[[bytes], bool],
        limits: Limits | None = None,
        entropy: Entropy = os.urandom,
    ) -> None:
        self.visibility = visibility
        self._keys = NodeKeys.from_seed(seed)
        self._known = known
        self._entropy = entropy
        self._limits = bounds = limits or Limits()
        self._links = LinkTable(fresh=bounds.fresh, fresh_ms=bounds.fresh_ms, established=bounds.established)
        self._rates = SourceRates(burst=bounds.burst, refill_ms=bounds.refill_ms, sources=bounds.sources)
        self._half_open: OrderedDict[int, _HalfOpen] = OrderedDict()
        self._openings: OrderedDict[bytes, _Opening] = OrderedDict()

    @property
    def links(self) -> int:
        """How many sessions are held."""
        return len(self._links)

    @property
    def half_open(self) -> int:
        """How many strangers have been answered and not yet heard again."""
        return len(self._half_open)

    def holds(self, session: Session) -> bool:
        """Whether records of `session` are still opened: False once it was forgotten, or gave way to others."""
        return self._links.holds(session)

    def forget(self, session: Session) -> None:
        """End a session; its records are unknown from now on, and its handshake can't be replayed."""
        self._links.remove(session)

    def receive(self, frame: bytes, source: str, now_ms: int) -> Outcome:
        """What to do about a frame. source: who sent it, as the bearer sees it; now_ms: monotonic."""
        self._expire(now_ms)
        try:
            if len(frame) > MAX_FRAME_BYTES:
                raise Malformed("a frame is larger than any bearer carries")
            first, _ = decode_varint(frame)
            if first >= LINK_ID_MIN:
                return self._record(first, frame, now_ms)
            return self._handshake(first, frame, source, now_ms)
        except TransportError as refusal:
            return Silence(Reason(refusal.code))

    def _record(self, link_id: int, frame: bytes, now_ms: int) -> Outcome:
        session = self._links.get(link_id)
        if session is None:
            return Silence(Reason.UNKNOWN_LINK)
        plaintext = session.open(frame)
        self._links.used(session, now_ms)
        return Received(session, plaintext)

    def _handshake(self, first: int, frame: bytes, source: str, now_ms: int) -> Outcome:
        kind = next((kind for kind in ADMITTED[self.visibility] if kind == first), None)
        if kind is None:
            return Silence(Reason.NOT_ADMITTED)
        if not self._rates.allow(source, now_ms):
            return Silence(Reason.TOO_OFTEN)
        opening = self._openings.get(hashlib.sha256(frame).digest())
        if opening is not None:
            return self._answer_again(opening)
        return _STEPS[kind](self, frame, now_ms)

    def _answer_again(self, opening: _Opening) -> Outcome:
        """The bearer repeats an opening whose answer got lost; anybody else who repeats it learns nothing new."""
        if not self._links.holds(opening.session):
            return Silence(Reason.REPLAYED_HANDSHAKE)
        if opening.answer is None:
            return Silence(Reason.NOT_YET_ANSWERED)
        return Send(opening.answer)

    def _open_known(self, frame: bytes, now_ms: int) -> Outcome:
        handshake = self._respond(Pattern.IK, self._entropy(KEY_BYTES))
        introduction = Introduction.unpack(handshake.read(frame[1:]))
        peer = handshake.identify(introduction)
        if self.visibility is Visibility.KNOWN and not self._known(peer):
            return Silence(Reason.NOT_LISTED)
        session = Session(peer=peer, local_id=self._draw_link_id(), remote_id=introduction.link_id)

        def answer(payload: bytes) -> bytes:
            ours = Introduction(self._keys.sign_bit, session.local_id, payload).pack()
            answer = pack_frame(FrameKind.IK2, handshake.write(ours))
            session.install(handshake.finish())
            return answer

        return self._accept(session, introduction, frame, answer, now_ms)

    def _answer_stranger(self, frame: bytes, now_ms: int) -> Outcome:
        if len(frame) != 1 + KEY_BYTES + len(XX1_PADDING) or not frame.endswith(XX1_PADDING):
            raise Malformed("a stranger's first message is a key and its padding")
        link_id = self._draw_link_id()
        half_open = _HalfOpen(frame[1:], self._entropy(KEY_BYTES), now_ms)
        _, answer = self._replay(half_open, link_id)
        self._half_open[link_id] = half_open
        while len(self._half_open) > self._limits.half_open:
            self._half_open.popitem(last=False)
        return Send(pack_frame(FrameKind.XX2, answer))

    def _open_stranger(self, frame: bytes, now_ms: int) -> Outcome:
        link_id, offset = decode_varint(frame, 1)
        half_open = self._half_open.get(link_id)
        if half_open is None:
            return Silence(Reason.UNKNOWN_LINK)
        handshake, _ = self._replay(half_open, link_id)
        introduction = Introduction.unpack(handshake.read(frame[offset:]))
        peer = handshake.identify(introduction)
        del self._half_open[link_id]
        session = Session(peer=peer, local_id=link_id, remote_id=introduction.link_id)
        session.install(handshake.finish())
        return self._accept(session, introduction, frame, session.seal, now_ms)

    def _replay(self, half_open: _HalfOpen, link_id: int) -> tuple[Handshake, bytes]:
        """The handshake as it stood after XX2, and XX2's bytes: the same each time, since its inputs are kept."""
        handshake = self._respond(Pattern.XX, half_open.ephemeral)
        handshake.read(half_open.question)
        return handshake, handshake.write(Introduction(self._keys.sign_bit, link_id).pack())

    def _respond(self, pattern: Pattern, ephemeral: bytes) -> Handshake:
        return Handshake(pattern, self._keys, initiator=False, ephemeral=ephemeral)

    def _accept(
        self,
        session: Session,
        introduction: Introduction,
        frame: bytes,
        answer: Callable[[bytes], bytes],
        now_ms: int,
    ) -> Accepted:
        opening = _Opening(session)
        self._openings[hashlib.sha256(frame).digest()] = opening
        while len(self._openings) > self._limits.openings:
            self._openings.popitem(last=False)
        self._links.add(session, now_ms)

        def reply(payload: bytes) -> bytes:
            if opening.answer is not None:
                raise RuntimeError("an opening is answered once")
            opening.answer = answer(payload)
            return opening.answer

        return Accepted(session, session.peer, introduction.payload, reply)

    def _draw_link_id(self) -> int:
        return draw_link_id(self._entropy, lambda link_id: link_id in self._half_open or link_id in self._links)

    def _expire(self, now_ms: int) -> None:
        self._links.expire(now_ms)
        while self._half_open:
            link_id, half_open = next(iter(self._half_open.items()))
            if now_ms - half_open.since_ms < self._limits.half_open_ms:
                return
            del self._half_open[link_id]


_STEPS: Mapping[FrameKind, Callable[[Acceptor, bytes, int], Outcome]] = {
    FrameKind.IK1: Acceptor._open_known,
    FrameKind.XX1: Acceptor._answer_stranger,
    FrameKind.XX3: Acceptor._open_stranger,
}
