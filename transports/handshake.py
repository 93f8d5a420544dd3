"""The two handshakes of a secure link, message by message: Noise revision 34, IK and XX.

    IK1  dialer -> acceptor   e, es, s, ss, introduction        the acceptor's key is known
    IK2  acceptor -> dialer   e, ee, se, introduction
    XX1  dialer -> acceptor   e, padding                        it is not
    XX2  acceptor -> dialer   e, ee, s, es, introduction        without application payload
    XX3  dialer -> acceptor   s, se, introduction               the frame names the acceptor's link id in clear

    introduction = Edwards sign bit of the sender's key (1 byte) | link id for records to the sender (varint) | payload

The rest of the package sees `noiseprotocol` only through `Handshake`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any

from cryptography.exceptions import InvalidTag
from noise.backends.default.keypairs import KeyPair25519
from noise.connection import Keypair, NoiseConnection
from noise.exceptions import NoiseInvalidMessage, NoiseValueError

from transports.errors import BadKey, FrameTooLarge, HandshakeRefused, Malformed, OwnIdentity
from transports.interface import MAX_FRAME_BYTES
from transports.keys import KEY_BYTES, NodeKeys, is_canonical, public_key
from transports.varint import MAX_VARINT, decode_varint, encode_varint

Entropy = Callable[[int], bytes]
"""Gives that many unpredictable bytes: `os.urandom`, or a seeded source in a simulation."""

PROLOGUE = b"v2x-trade/1"
"""Both sides mix it in, so that another protocol or version fails at the first authenticated byte."""

LINK_ID_MIN = 8
"""Smaller first varints are kinds of handshake frames."""

_DRAWN_IDS = range(64, 1 << 14)
"""Link ids that we choose ourselves: exactly two bytes on the wire. They need not be secret, since a guess fails at
the record's tag; they are random so that a restarted node does not meet records of its former life."""

XX1_PADDING = bytes(4)
"""Makes the stranger's question long enough that our answer, 100 bytes, stays under three times it: we must not be an
amplifier for forged source addresses (the bound of RFC 9000 section 8.1)."""


MAX_INTRODUCTION_BYTES = MAX_FRAME_BYTES - (1 + 32 + 48 + 16)
"""What IK1, which has the most around it, leaves: kind, ephemeral key, sealed static key, tag."""


class FrameKind(IntEnum):
    """The first varint of a handshake frame."""

    IK1 = 1
    IK2 = 2
    XX1 = 3
    XX2 = 4
    XX3 = 5


class Pattern(Enum):
    """Noise protocol names."""

    IK = b"Noise_IK_25519_ChaChaPoly_SHA256"
    XX = b"Noise_XX_25519_ChaChaPoly_SHA256"


_EPHEMERAL_MESSAGES = 2
"""In both patterns the first two messages begin with an ephemeral key in clear."""


@dataclass(frozen=True, slots=True)
class TransportKeys:
    """The two keys that a handshake ends with, 32 bytes each, as this side uses them."""

    send: bytes = field(repr=False)
    receive: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Introduction:
    """What either side says about itself inside the handshake; `payload` is the application's."""

    sign_bit: int
    link_id: int
    payload: bytes = b""

    def pack(self) -> bytes:
        """Raises FrameTooLarge when the payload does not fit into the largest frame."""
        packed = bytes([self.sign_bit]) + encode_varint(self.link_id) + self.payload
        if len(packed) > MAX_INTRODUCTION_BYTES:
            raise FrameTooLarge(f"a handshake has no room for a payload of {len(self.payload)} bytes")
        return packed

    @classmethod
    def unpack(cls, data: bytes) -> "Introduction":
        """Raises Malformed."""
        if not data or data[0] > 1:
            raise Malformed("an introduction begins with a sign bit")
        link_id, offset = decode_varint(data, 1)
        if link_id < LINK_ID_MIN:
            raise Malformed("a link id is too small")
        return cls(data[0], link_id, data[offset:])


class Handshake:
    """One handshake of one side. `write` and `read` alternate, as the pattern says; a failed `read` ends it.

    ephemeral: 32 fresh random bytes, never used for another handshake; remote: the acceptor's X25519 key, for IK's
    initiator only.
    """

    def __init__(
        self,
        pattern: Pattern,
        keys: NodeKeys,
        *,
        initiator: bool,
        ephemeral: bytes,
        remote: bytes | None = None,
        prologue: bytes = PROLOGUE,
    ) -> None:
        connection: Any = NoiseConnection.from_name(pattern.value)
        connection.set_as_initiator() if initiator else connection.set_as_responder()
        connection.set_prologue(prologue)
        connection.set_keypair_from_private_bytes(Keypair.STATIC, keys.secret)
        if remote is not None:
            connection.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, remote)
        connection.start_handshake()
        self._keys = keys
        self._connection = connection
        # noiseprotocol drops its state with the last message, before anybody can ask it for the remote key.
        self._state = connection.noise_protocol.handshake_state
        # Its own setter for an ephemeral key warns, being meant for test vectors; ours comes from injected entropy.
        keypair: Any = KeyPair25519
        self._state.e = keypair.from_private_bytes(ephemeral)
        self._turn = 0

    def write(self, payload: bytes) -> bytes:
        """Our next message. Raises BadKey when the peer's key is of small order, which shows in the exchange only."""
        self._turn += 1
        try:
            return bytes(self._connection.write_message(payload))
        except ValueError:  # the exchange gave zeros, which `cryptography` refuses
            raise BadKey("the peer's key is of small order") from None

    def read(self, message: bytes) -> bytes:
        """The payload of the peer's next message. Raises HandshakeRefused (BadKey for its ephemeral key)."""
        if self._turn < _EPHEMERAL_MESSAGES and not is_canonical(message[:KEY_BYTES]):
            raise BadKey("an ephemeral key is missing or not canonical")
        self._turn += 1
        try:
            return bytes(self._connection.read_message(message))
        except (InvalidTag, NoiseInvalidMessage, NoiseValueError, ValueError):
            # ValueError: a key of small order, as in `write`.
            raise HandshakeRefused("a handshake message is not genuine or not for us") from None

    def identify(self, introduction: Introduction) -> bytes:
        """The peer's Ed25519 key, once its static key was read. Raises BadKey, OwnIdentity."""
        exchange: bytes = self._state.rs.public_bytes
        if exchange == self._keys.exchange:
            raise OwnIdentity("the peer of this handshake is this node itself")
        return public_key(exchange, introduction.sign_bit)

    def finish(self) -> TransportKeys:
        """The keys for records, after the last message."""
        noise = self._connection.noise_protocol
        return TransportKeys(noise.cipher_state_encrypt.k, noise.cipher_state_decrypt.k)


def pack_frame(kind: FrameKind, message: bytes) -> bytes:
    """A handshake frame."""
    return encode_varint(kind) + message


def draw_link_id(entropy: Entropy, taken: Callable[[int], bool]) -> int:
    """A random link id that is not `taken`; far fewer are than the 16,320 there are."""
    place = int.from_bytes(entropy(4), "big")
    while taken(_DRAWN_IDS[place % len(_DRAWN_IDS)]):
        place += 1
    return _DRAWN_IDS[place % len(_DRAWN_IDS)]


def check_link_id(link_id: int) -> int:
    """A link id that the caller chose. Raises ValueError outside `LINK_ID_MIN` to `MAX_VARINT`."""
    if not LINK_ID_MIN <= link_id <= MAX_VARINT:
        raise ValueError(f"a link id is {LINK_ID_MIN} to {MAX_VARINT}")
    return link_id
