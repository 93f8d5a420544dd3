"""The secure link: Noise XX as a dialer, then sealed records (docs/protocol.md, Secure link)."""

from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag  # what `noise` lets through
from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_decrypt,
    crypto_aead_chacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError
from noise.connection import Keypair, NoiseConnection
from noise.exceptions import NoiseInvalidMessage, NoiseValueError

from examples.second_implementation.keys import Identity, ProtocolError, need, node_of

PROLOGUE = b"v2x-trade/1"
IK1, IK2, XX1, XX2, XX3 = range(1, 6)
FIRST_LINK_ID = 8
WINDOW = 64
RECORDS_MAX = 2**20
PADDING = bytes(4)
TAG_BYTES = 16


def varint(value: int) -> bytes:
    """RFC 9000, section 16, in shortest form."""
    for prefix, size in enumerate((1, 2, 4, 8)):
        if value < 1 << (8 * size - 2):
            return (value | prefix << (8 * size - 2)).to_bytes(size, "big")
    raise ProtocolError("A number is too large.")


def read_varint(data: bytes) -> tuple[int, bytes]:
    """The number and what stands behind it."""
    need(bool(data), "A number is missing.")
    size = 1 << (data[0] >> 6)
    need(len(data) >= size, "A number is cut off.")
    value = int.from_bytes(data[:size], "big") & ((1 << (8 * size - 2)) - 1)
    need(len(varint(value)) == size, "A number is longer than it needs to be.")
    return value, data[size:]


def introduction(sign_bit: int, link_id: int, payload: bytes = b"") -> bytes:
    return bytes([sign_bit]) + varint(link_id) + payload


def read_introduction(data: bytes) -> tuple[int, int, bytes]:
    """Sign bit, link id for records to the sender, payload."""
    need(data[:1] in (b"\0", b"\1"), "A sign bit is 0 or 1.")
    link_id, payload = read_varint(data[1:])
    need(link_id >= FIRST_LINK_ID, "A link id is 8 or more.")
    return data[0], link_id, payload


def _nonce(counter: int) -> bytes:
    return bytes(4) + counter.to_bytes(8, "little")


def seal(key: bytes, link_id: int, counter: int, plaintext: bytes) -> bytes:
    header = varint(link_id) + varint(counter)
    return header + crypto_aead_chacha20poly1305_ietf_encrypt(plaintext, header, _nonce(counter), key)


def unseal(key: bytes, record: bytes) -> tuple[int, int, bytes]:
    """Link id, counter and plaintext. Raises ProtocolError for a record that is not of this key."""
    link_id, behind = read_varint(record)
    counter, sealed = read_varint(behind)
    need(len(sealed) >= TAG_BYTES, "A record is cut off.")
    header = record[: len(record) - len(sealed)]
    try:
        return link_id, counter, crypto_aead_chacha20poly1305_ietf_decrypt(sealed, header, _nonce(counter), key)
    except CryptoError as error:
        raise ProtocolError("A record does not open.") from error


@dataclass(slots=True)
class Link:
    """One direction's key each way; the peer's key is proven when the first record has opened."""

    peer: bytes
    send_key: bytes
    receive_key: bytes
    send_id: int
    receive_id: int
    _sent: int = 0
    _newest: int = -1
    _seen: set[int] = field(default_factory=set)

    def seal(self, frame: bytes) -> bytes:
        need(self._sent < RECORDS_MAX, "This link has sealed all it may.")
        self._sent += 1
        return seal(self.send_key, self.send_id, self._sent - 1, frame)

    def unseal(self, record: bytes) -> bytes:
        link_id, counter, frame = unseal(self.receive_key, record)
        need(link_id == self.receive_id, "This record is for another link.")
        need(counter > self._newest - WINDOW and counter not in self._seen, "This record came before.")
        self._newest = max(self._newest, counter)
        self._seen = {each for each in self._seen if each > self._newest - WINDOW} | {counter}
        return frame


def handshake(pattern: str, identity: Identity, initiator: bool) -> Any:
    """A Noise handshake of `pattern` (IK or XX), not yet started."""
    noise = NoiseConnection.from_name(f"Noise_{pattern}_25519_ChaChaPoly_SHA256".encode())
    noise.set_prologue(PROLOGUE)
    noise.set_keypair_from_private_bytes(Keypair.STATIC, identity.scalar)
    (noise.set_as_initiator if initiator else noise.set_as_responder)()
    return noise


def remote_static(noise: Any) -> bytes:
    return bytes(noise.noise_protocol.handshake_state.rs.public_bytes)


def split_keys(noise: Any, initiator: bool) -> tuple[bytes, bytes]:
    """After the last message: the dialer's key, the acceptor's."""
    sends, hears = noise.noise_protocol.cipher_state_encrypt.k, noise.noise_protocol.cipher_state_decrypt.k
    return (sends, hears) if initiator else (hears, sends)


def read_message(noise: Any, message: bytes) -> bytes:
    """The payload of the next handshake message. Raises ProtocolError for one that is not meant for us."""
    try:
        return bytes(noise.read_message(message))
    except (InvalidTag, NoiseInvalidMessage, NoiseValueError, ValueError) as error:
        raise ProtocolError("A handshake message does not open.") from error


class Dial:
    """XX from the dialer's side: first() out, second() in, third() out."""

    def __init__(self, identity: Identity, receive_id: int) -> None:
        self._identity, self._receive_id = identity, receive_id
        self._noise = handshake("XX", identity, initiator=True)
        self._noise.start_handshake()
        self._static = b""

    def first(self) -> bytes:
        return varint(XX1) + bytes(self._noise.write_message(PADDING))

    def second(self, frame: bytes) -> tuple[bytes, int]:
        """The acceptor's key and its link id. Raises ProtocolError."""
        kind, message = read_varint(frame)
        need(kind == XX2, "The answer to XX1 is XX2.")
        payload = read_message(self._noise, message)
        self._static = remote_static(self._noise)
        sign_bit, link_id, rest = read_introduction(payload)
        need(not rest, "XX2 carries nothing else.")
        return node_of(self._static, sign_bit, self._identity.public), link_id

    def third(self, peer: bytes, link_id: int, frame: bytes) -> tuple[bytes, Link]:
        words = introduction(self._identity.sign_bit, self._receive_id, frame)
        message = varint(XX3) + varint(link_id) + bytes(self._noise.write_message(words))
        ours, theirs = split_keys(self._noise, initiator=True)
        return message, Link(peer, ours, theirs, link_id, self._receive_id)
