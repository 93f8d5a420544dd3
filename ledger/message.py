"""Signed messages that are no entries of a chain: requests, offers and counters, kept beside the agreement that they
led to; vouchers, kept under their serial; lists of issuers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from ledger.cbor import MAX_BYTES
from ledger.entry import REQUEST_ID_BYTES
from ledger.errors import Malformed
from ledger.signing import (
    AAD_COUNTER,
    AAD_ISSUERS,
    AAD_OFFER,
    AAD_REQUEST,
    AAD_VOUCHER,
    Signer,
    cose_bytes,
    sign1,
    verify1,
)

MAX_MESSAGE_BYTES: Final = MAX_BYTES
MAX_LIST_BYTES: Final = 7 * MAX_BYTES
"""Some 24 issuers and 128 revoked serials."""
_SHORT_STRING_HEAD: Final = 0x40  # a CBOR byte string of up to 23 bytes: this head plus its length (RFC 8949, 3.1)


class MessageKind(IntEnum):
    """Each kind is signed under its own external data. The numbers are stored and never change."""

    REQUEST = 1
    OFFER = 2
    COUNTER = 3
    VOUCHER = 4
    ISSUERS = 5

    @property
    def aad(self) -> bytes:
        """External data of its COSE_Sign1."""
        return _AAD[self]

    @property
    def max_bytes(self) -> int:
        """The longest payload. A list of issuers travels in files, the others in one message."""
        return MAX_LIST_BYTES if self is MessageKind.ISSUERS else MAX_MESSAGE_BYTES


_AAD: Final = {
    MessageKind.REQUEST: AAD_REQUEST,
    MessageKind.OFFER: AAD_OFFER,
    MessageKind.COUNTER: AAD_COUNTER,
    MessageKind.VOUCHER: AAD_VOUCHER,
    MessageKind.ISSUERS: AAD_ISSUERS,
}


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """A message as it was sent: `payload` is what the 64 bytes of `signature` are over, `signer` the public key."""

    kind: MessageKind
    signer: bytes
    payload: bytes
    signature: bytes

    @property
    def hash(self) -> bytes:
        """SHA-256 of the payload: what an accept answers."""
        return hashlib.sha256(self.payload).digest()

    @property
    def cose(self) -> bytes:
        """The COSE_Sign1 array (external data `kind.aad`)."""
        return cose_bytes(self.payload, self.signature)

    def check(self) -> None:
        """Raises Malformed or BadSignature."""
        if len(self.payload) > self.kind.max_bytes:
            raise Malformed(f"a {self.kind.name} has {self.kind.max_bytes} bytes at most")
        verify1(self.signer, self.payload, self.signature, self.kind.aad)

    def check_request(self, request_id: bytes) -> None:
        """Raises Malformed unless the payload carries `request_id` (16 bytes) as a byte string.

        The ledger does not read messages; this much binds one to the trade under which it is kept.
        """
        if len(request_id) != REQUEST_ID_BYTES:
            raise Malformed(f"a request id has {REQUEST_ID_BYTES} bytes")
        if bytes([_SHORT_STRING_HEAD + REQUEST_ID_BYTES]) + request_id not in self.payload:
            raise Malformed("the message does not carry the request id under which it is kept")


def sign_message(signer: Signer, kind: MessageKind, payload: bytes) -> SignedMessage:
    """Sign `payload` (deterministic CBOR of the caller's) as `kind`. Raises Malformed when too long."""
    message = SignedMessage(kind, signer.public, payload, sign1(signer, payload, kind.aad))
    message.check()
    return message
