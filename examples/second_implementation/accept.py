"""The acceptor's side of both handshakes, for a node open to all. The client needs none of it; the vectors do."""

from typing import Any

from noise.connection import Keypair

from examples.second_implementation.keys import Identity, ProtocolError, need, node_of
from examples.second_implementation.link import (
    IK1,
    IK2,
    PADDING,
    XX1,
    XX2,
    XX3,
    Link,
    handshake,
    introduction,
    read_introduction,
    read_message,
    read_varint,
    remote_static,
    split_keys,
    varint,
)

POINT_BYTES = 32
FIELD = 2**255 - 19


class Acceptor:
    """One dialer's handshake: XX1 and XX3, or IK1 alone. `answer` is what goes into IK2 beside the introduction."""

    def __init__(self, identity: Identity, link_id: int, ephemeral: bytes | None = None) -> None:
        self._identity, self._link_id, self._ephemeral = identity, link_id, ephemeral
        self._noise: Any = None
        self.link: Link | None = None
        self.payload = b""
        """What the dialer's first frame says."""

    def hear(self, frame: bytes, answer: bytes = b"") -> bytes:
        """The answer to a handshake frame, none to XX3. Raises ProtocolError where a node is silent."""
        kind, message = read_varint(frame)
        if kind == IK1:
            return self._ik1(message, answer)
        if kind == XX1:
            return self._xx1(message)
        need(kind == XX3 and self._noise is not None, "This does not open a link.")
        return self._xx3(message)

    def _begin(self, pattern: str, message: bytes) -> None:
        point = int.from_bytes(message[:POINT_BYTES], "little")
        need(len(message) >= POINT_BYTES and point < FIELD, "An ephemeral key is not in its canonical form.")
        self._noise = handshake(pattern, self._identity, initiator=False)
        if self._ephemeral is not None:
            self._noise.set_keypair_from_private_bytes(Keypair.EPHEMERAL, self._ephemeral)
        self._noise.start_handshake()

    def _introduced(self, payload: bytes, static: bytes) -> tuple[bytes, int]:
        sign_bit, link_id, self.payload = read_introduction(payload)
        return node_of(static, sign_bit, self._identity.public), link_id

    def _ik1(self, message: bytes, answer: bytes) -> bytes:
        self._begin("IK", message)
        payload = read_message(self._noise, message)
        peer, link_id = self._introduced(payload, remote_static(self._noise))
        ours = introduction(self._identity.sign_bit, self._link_id, answer)
        message = bytes(self._noise.write_message(ours))
        self._establish(peer, link_id)
        return varint(IK2) + message

    def _xx1(self, message: bytes) -> bytes:
        self._begin("XX", message)
        need(read_message(self._noise, message) == PADDING, "XX1 is padded with four zero bytes.")
        ours = introduction(self._identity.sign_bit, self._link_id)
        return varint(XX2) + bytes(self._noise.write_message(ours))

    def _xx3(self, message: bytes) -> bytes:
        link_id, rest = read_varint(message)
        need(link_id == self._link_id, "XX3 answers another XX2.")
        state = self._noise.noise_protocol.handshake_state
        payload = read_message(self._noise, rest)
        peer, link_id = self._introduced(payload, bytes(state.rs.public_bytes))
        self._establish(peer, link_id)
        return b""

    def _establish(self, peer: bytes, link_id: int) -> None:
        theirs, ours = split_keys(self._noise, initiator=False)
        self.link = Link(peer, ours, theirs, link_id, self._link_id)


def refused(identity: Identity, link_id: int, ephemeral: bytes | None, frames: list[bytes]) -> bool:
    """Whether such an acceptor answers all of these frames but the last, and is silent to that."""
    acceptor = Acceptor(identity, link_id, ephemeral)
    for frame in frames[:-1]:
        acceptor.hear(frame)
    try:
        acceptor.hear(frames[-1])
    except ProtocolError:
        return True
    return False
