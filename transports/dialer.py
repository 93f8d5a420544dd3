"""The dialing side of a secure link, as a machine: frames in, frames out, no clock."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from transports.errors import BadKey, HandshakeRefused, Malformed, OwnIdentity
from transports.handshake import (
    LINK_ID_MIN,
    XX1_PADDING,
    Entropy,
    FrameKind,
    Handshake,
    Introduction,
    Pattern,
    check_link_id,
    draw_link_id,
    pack_frame,
)
from transports.keys import KEY_BYTES, NodeKeys, exchange_key
from transports.records import Session
from transports.varint import decode_varint, encode_varint


@dataclass(frozen=True, slots=True)
class Opened:
    """A secure link. payload: what the peer said to open it; peer: its Ed25519 public key."""

    session: Session
    peer: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class Named:
    """A stranger has told and proved its Ed25519 public key; it does not know ours yet."""

    peer: bytes


class DialStage(Enum):
    """Where a dialer is."""

    READY = auto()
    AWAITS_IK2 = auto()
    AWAITS_XX2 = auto()
    NAMED = auto()
    AWAITS_RECORD = auto()
    OPENED = auto()
    FAILED = auto()


class Dialer:
    """Opens one secure link, once.

    remote: the Ed25519 key of the peer that must answer (IK: our payload goes with `first`, where it has no forward
    secrecy and may be replayed to the peer), or None for a stranger (XX: it goes with `introduce`, once the peer's
    key is known, so that it can name the peer). link_id: what records to us will carry, `LINK_ID_MIN` or more; drawn
    when None. Raises BadKey and OwnIdentity for such a `remote`.
    """

    def __init__(
        self,
        seed: bytes,
        *,
        remote: bytes | None,
        link_id: int | None = None,
        entropy: Entropy = os.urandom,
    ) -> None:
        keys = NodeKeys.from_seed(seed)
        if remote == keys.public:
            raise OwnIdentity("the node was asked to dial itself")
        own_id = draw_link_id(entropy, lambda _: False) if link_id is None else check_link_id(link_id)
        self.peer = remote
        self._remote = remote
        self._own_id = own_id
        self._sign_bit = keys.sign_bit
        self._handshake = Handshake(
            Pattern.XX if remote is None else Pattern.IK,
            keys,
            initiator=True,
            ephemeral=entropy(KEY_BYTES),
            remote=None if remote is None else exchange_key(remote),
        )
        self._session: Session | None = None
        self.stage = DialStage.READY

    def first(self, payload: bytes = b"") -> bytes:
        """The first frame to send; called once (the bearer repeats it). `payload` is for a known peer only.

        Raises FrameTooLarge for a payload that does not fit.
        """
        if self.stage is not DialStage.READY:
            raise RuntimeError("a dialer has one first frame")
        if self._remote is None:
            if payload:
                raise RuntimeError("a stranger gets the payload with `introduce`")
            self.stage = DialStage.AWAITS_XX2
            return pack_frame(FrameKind.XX1, self._handshake.write(XX1_PADDING))
        introduction = self._introduce(payload)
        self.stage = DialStage.AWAITS_IK2
        return pack_frame(FrameKind.IK1, self._handshake.write(introduction))

    def introduce(self, payload: bytes) -> bytes:
        """The frame that tells a stranger who we are and what we want; called once, after `receive` named the peer.

        Raises FrameTooLarge for a payload that does not fit.
        """
        if self.stage is not DialStage.NAMED:
            raise RuntimeError("introduce ourselves once, to a stranger who has been named")
        introduction = self._introduce(payload)
        session = self._read_session()
        message = self._handshake.write(introduction)
        session.install(self._handshake.finish())
        self.stage = DialStage.AWAITS_RECORD
        return pack_frame(FrameKind.XX3, encode_varint(session.remote_id) + message)

    def _introduce(self, payload: bytes) -> bytes:
        return Introduction(self._sign_bit, self._own_id, payload).pack()

    def receive(self, frame: bytes) -> Named | Opened:
        """The peer's answer to the last frame.

        A stranger's first answer names it: go on with `introduce`, or leave it; then its first record opens the link.
        Raises HandshakeRefused, BadKey, OwnIdentity and Malformed, after which this dialer is spent. A frame out of
        turn, and a record that raises Forged or Replay, change nothing.
        """
        kind = _kind(frame)
        step = _STEPS.get((self.stage, kind))
        if step is None:
            raise HandshakeRefused(f"a frame of kind {kind} is not the answer that the handshake expects")
        if self.stage is not DialStage.AWAITS_RECORD:
            self.stage = DialStage.FAILED  # until the step succeeds: a message that is refused spoils Noise's state
        return step(self, frame)

    def _read(self, frame: bytes) -> Introduction:
        introduction = Introduction.unpack(self._handshake.read(frame[1:]))
        peer = self._handshake.identify(introduction)
        if self._remote not in (None, peer):
            raise BadKey("the peer's key has another sign than the one that was dialled")
        self.peer = peer
        self._session = Session(peer=peer, local_id=self._own_id, remote_id=introduction.link_id)
        return introduction

    def _finish_known(self, frame: bytes) -> Opened:
        introduction = self._read(frame)
        session = self._read_session()
        session.install(self._handshake.finish())
        self.stage = DialStage.OPENED
        return Opened(session, session.peer, introduction.payload)

    def _name_stranger(self, frame: bytes) -> Named:
        if self._read(frame).payload:
            raise Malformed("a stranger's second message carries its identity only")
        self.stage = DialStage.NAMED
        return Named(self._read_session().peer)

    def _finish_stranger(self, frame: bytes) -> Opened:
        session = self._read_session()
        payload = session.open(frame)
        self.stage = DialStage.OPENED
        return Opened(session, session.peer, payload)

    def _read_session(self) -> Session:
        if self._session is None:
            raise RuntimeError("no peer was read yet")
        return self._session


_RECORD = None
"""In place of a kind: the first varint is a link id."""

_STEPS: dict[tuple[DialStage, FrameKind | None], Callable[[Dialer, bytes], Named | Opened]] = {
    (DialStage.AWAITS_IK2, FrameKind.IK2): Dialer._finish_known,
    (DialStage.AWAITS_XX2, FrameKind.XX2): Dialer._name_stranger,
    (DialStage.AWAITS_RECORD, _RECORD): Dialer._finish_stranger,
}


def _kind(frame: bytes) -> FrameKind | None:
    first, _ = decode_varint(frame)
    if first >= LINK_ID_MIN:
        return _RECORD
    try:
        return FrameKind(first)
    except ValueError:
        raise Malformed(f"{first} is no kind of frame") from None
