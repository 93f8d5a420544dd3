"""Sealed records over a bearer that loses, repeats and reorders (the part of a secure link after its handshake).

    record = link id (varint) | counter (varint) | ciphertext | tag (16)

The link id was chosen by the receiver. The header is the associated data. The nonce is Noise's for ChaChaPoly (revision
34 section 12.3): 4 zero bytes and the counter as 8 bytes little-endian. A counter is never used twice with one key.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from transports.errors import Forged, FrameTooLarge, LinkExhausted, Malformed, Replay
from transports.handshake import TransportKeys
from transports.interface import MAX_FRAME_BYTES
from transports.varint import decode_varint, encode_varint

MAX_RECORDS = 1 << 20
"""Records one way under one key. A year of a Status a minute is half of it; keys that live no longer than this bound
what a stolen one opens, and keep the counter in four bytes."""

REPLAY_WINDOW = 64
"""How far a record may be overtaken. More than any bearer reorders within one round trip; one machine word of state."""

TAG_BYTES = 16


class ReplayWindow:
    """Which of the last `REPLAY_WINDOW` counters have been opened (the method of RFC 4303 section 3.4.3)."""

    __slots__ = ("_highest", "_seen")

    def __init__(self) -> None:
        self._highest = -1
        self._seen = 0  # bit i: counter highest - i was opened

    def admits(self, counter: int) -> bool:
        """Whether `counter` is new and not too old to tell."""
        age = self._highest - counter
        return age < 0 or (age < REPLAY_WINDOW and not self._seen >> age & 1)

    def mark(self, counter: int) -> None:
        """Note that a genuine record with `counter`, which the window admits, was opened."""
        ahead = max(0, counter - self._highest)
        self._highest += ahead
        moved = self._seen << ahead if ahead < REPLAY_WINDOW else 0
        self._seen = (moved | 1 << (self._highest - counter)) & ((1 << REPLAY_WINDOW) - 1)


class Session:
    """One end of a secure link: seals for one authenticated peer and opens what it sealed.

    peer: its Ed25519 public key; local_id: the link id in records to us; remote_id: in records to the peer.
    """

    def __init__(self, *, peer: bytes, local_id: int, remote_id: int) -> None:
        self.peer = peer
        self.local_id = local_id
        self.remote_id = remote_id
        self._to_peer: ChaCha20Poly1305 | None = None
        self._from_peer: ChaCha20Poly1305 | None = None
        self._sealed = 0
        self._established = False
        self._window = ReplayWindow()

    def install(self, keys: TransportKeys) -> None:
        """Take the keys of the finished handshake; once."""
        if self._to_peer is not None:
            raise RuntimeError("a session takes its keys once")
        self._to_peer, self._from_peer = ChaCha20Poly1305(keys.send), ChaCha20Poly1305(keys.receive)

    @property
    def established(self) -> bool:
        """True once a record of the peer was opened: until then its handshake may be a replay."""
        return self._established

    @property
    def exhausted(self) -> bool:
        """True when `seal` has no counter left."""
        return self._sealed >= MAX_RECORDS

    @property
    def records(self) -> int:
        """How many records were sealed, 0 to `MAX_RECORDS`: redial in time."""
        return self._sealed

    def seal(self, plaintext: bytes) -> bytes:
        """The next record. Raises LinkExhausted after `MAX_RECORDS`, FrameTooLarge; neither uses a counter up."""
        if self._to_peer is None:
            raise RuntimeError("the handshake of this session is not finished: answer it first")
        if self.exhausted:
            raise LinkExhausted("this link has carried all the records that its keys may: dial again")
        header = encode_varint(self.remote_id) + encode_varint(self._sealed)
        if len(header) + len(plaintext) + TAG_BYTES > MAX_FRAME_BYTES:
            raise FrameTooLarge(f"a record of {len(plaintext)} bytes does not fit into {MAX_FRAME_BYTES}")
        sealed = header + self._to_peer.encrypt(_nonce(self._sealed), plaintext, header)
        self._sealed += 1
        return sealed

    def open(self, frame: bytes) -> bytes:
        """The plaintext of a record of the peer. Raises Replay, Forged, Malformed, all of which change nothing."""
        link_id, offset = decode_varint(frame)
        counter, body = decode_varint(frame, offset)
        if link_id != self.local_id or counter >= MAX_RECORDS:
            raise Malformed("a record names another link, or a counter beyond the last")
        if not self._window.admits(counter):
            raise Replay("a record came again, or came too late")
        if self._from_peer is None:
            raise Forged("a record came before the handshake was answered")
        try:
            plaintext = self._from_peer.decrypt(_nonce(counter), frame[body:], frame[:body])
        except InvalidTag:
            raise Forged("a record was not sealed by the peer of this link") from None
        self._window.mark(counter)
        self._established = True
        return plaintext


def _nonce(counter: int) -> bytes:
    return bytes(4) + counter.to_bytes(8, "little")
