"""What a KEY entry says: who signs from here on, and who may say otherwise. Values and their strict encoding. Pure.

A body is a map: 0 kind, 1 public key, 2 commitment (SHA-256 of the offline revocation public key, empty where there
is none), 3 to 5 the closed epoch, its size and its root, 6 the second signature, 7 the offline public key. Each kind
has exactly the fields of its class below. `key_history` says what follows from a node's KEY entries.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, TypeAlias

from ledger import cbor
from ledger.entry import EPOCH_BYTES, HASH_BYTES, VERSION, Entry, EntryType
from ledger.errors import Malformed
from ledger.signing import PUBLIC_BYTES, SIGNATURE_BYTES, Signer, sign1, verify1

COMMITMENT_BYTES: Final = 32
POINT_BYTES: Final = 65
"""An uncompressed P-256 point (SEC 1, 2.3.3), as WebCrypto takes it."""

AAD_KEY: Final = b"v2x-trade/1 key"
"""External data of the consent that a new key signs."""

_UNCOMPRESSED: Final = 4
"""First byte of such a point."""

_FIELDS: Final = {0: (0, 1, 2), 1: (0, 1, 2, 6), 2: (0, 1, 2, 3, 4, 5, 6, 7), 3: (0, 1, 2, 3, 4, 5), 4: (0, 1, 6)}
"""Of each kind; the codec keeps keys in order."""

Fields: TypeAlias = dict[int, cbor.Value]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands: what the signatures of a KEY entry are bound to."""

    node: bytes
    epoch: bytes
    seq: int
    prev: bytes

    @classmethod
    def of(cls, entry: Entry) -> Place:
        return cls(entry.node, entry.epoch, entry.seq, entry.prev)

    def entry(self, type: EntryType, answers: bytes, body_commitment: bytes) -> Entry:
        """The entry that stands here."""
        return Entry(VERSION, self.node, self.epoch, self.seq, self.prev, type, answers, body_commitment)


@dataclass(frozen=True, slots=True)
class ClosedEpoch:
    """The end of an epoch: its first `size` entries hold, and `root` is the RFC 9162 tree over their payloads."""

    epoch: bytes
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Genesis:
    """The first entry of a chain: `public` is the node's name for ever. Kind 0."""

    public: bytes
    commitment: bytes = b""


@dataclass(frozen=True, slots=True)
class Rotation:
    """From the next entry on `public` signs. The key before signs the entry, the new one `consent`. Kind 1."""

    public: bytes
    commitment: bytes
    consent: bytes


@dataclass(frozen=True, slots=True)
class Succession:
    """The offline key takes the signing key's power away and gives it to `public`, or to nobody (empty). Kind 2.

    It starts an epoch and is signed by the offline key; `commitment` is to the offline key of the next time. What the
    revoked keys signed counts up to the end of `closed`.
    """

    public: bytes
    commitment: bytes
    closed: ClosedEpoch
    consent: bytes
    offline: bytes


@dataclass(frozen=True, slots=True)
class EpochStart:
    """A new epoch under the same key, after a restore or a rollback: nothing is signed in `closed` any more. Kind 3."""

    public: bytes
    commitment: bytes
    closed: ClosedEpoch


@dataclass(frozen=True, slots=True)
class MeterKey:
    """`point` signs this node's meter values (ECDSA P-256), and `consent` (r || s). Kind 4. See `ledger.meter_key`."""

    point: bytes
    consent: bytes


KeyBody: TypeAlias = Genesis | Rotation | Succession | EpochStart | MeterKey


def commitment_to(offline: bytes) -> bytes:
    """What a chain says of its offline revocation key: SHA-256 of the public half."""
    return hashlib.sha256(offline).digest()


def encode_key(body: KeyBody) -> bytes:
    """The body of a KEY entry."""
    match body:
        case Genesis():
            return cbor.encode({0: 0, 1: body.public, 2: body.commitment})
        case Rotation():
            return cbor.encode({0: 1, 1: body.public, 2: body.commitment, 6: body.consent})
        case Succession():
            return cbor.encode({0: 2, **_start_fields(body), 6: body.consent, 7: body.offline})
        case EpochStart():
            return cbor.encode({0: 3, **_start_fields(body)})
        case MeterKey():
            return cbor.encode({0: 4, 1: body.point, 6: body.consent})


def decode_key(data: bytes) -> KeyBody:
    """The body of a KEY entry. Raises Malformed, NotCanonical or TooLarge.

    `{0: public key}` is the genesis of ledgers that were begun before there were revocation keys.
    """
    fields = cbor.decode(data)
    if not isinstance(fields, dict):
        raise Malformed("the body of a KEY entry is a map")
    if list(fields) == [0] and isinstance(fields[0], bytes):
        return Genesis(_octets(fields, 0, PUBLIC_BYTES))
    kind = fields.get(0)
    if type(kind) is not int or tuple(fields) != _FIELDS.get(kind):
        raise Malformed("no kind of KEY entry has these fields")
    return _read(kind, fields)


def check_consent(place: Place, body: Rotation | Succession) -> None:
    """Raises BadSignature unless the key that takes over at `place` agreed to."""
    if body.public:
        verify1(body.public, _consented(place, body.public, body.commitment), body.consent, AAD_KEY)


def consent_of(new: Signer, place: Place, commitment: bytes) -> bytes:
    """The word of a new key that it takes over at `place`, the KEY entry's own."""
    return sign1(new, _consented(place, new.public, commitment), AAD_KEY)


def _consented(place: Place, public: bytes, commitment: bytes) -> bytes:
    return cbor.encode([place.node, place.epoch, place.seq, place.prev, public, commitment])


def _start_fields(body: Succession | EpochStart) -> dict[int, cbor.Value]:
    closed = body.closed
    return {1: body.public, 2: body.commitment, 3: closed.epoch, 4: closed.size, 5: closed.root}


def _read(kind: int, fields: Fields) -> KeyBody:
    match kind:
        case 0:
            return Genesis(_octets(fields, 1, PUBLIC_BYTES), _commitment(fields))
        case 1:
            return Rotation(_octets(fields, 1, PUBLIC_BYTES), _commitment(fields), _octets(fields, 6, SIGNATURE_BYTES))
        case 2:
            return _read_succession(fields)
        case 3:
            return EpochStart(_octets(fields, 1, PUBLIC_BYTES), _commitment(fields), _closed(fields))
        case _:
            return MeterKey(_point(fields), _octets(fields, 6, SIGNATURE_BYTES))


def _read_succession(fields: Fields) -> Succession:
    retired = fields[1] == b""
    return Succession(
        public=_octets(fields, 1, 0 if retired else PUBLIC_BYTES),
        commitment=_commitment(fields),
        closed=_closed(fields),
        consent=_octets(fields, 6, 0 if retired else SIGNATURE_BYTES),
        offline=_octets(fields, 7, PUBLIC_BYTES),
    )


def _closed(fields: Fields) -> ClosedEpoch:
    size = fields[4]
    if type(size) is not int or size < 1:
        raise Malformed("a closed epoch has one entry at least: its KEY")
    return ClosedEpoch(_octets(fields, 3, EPOCH_BYTES), size, _octets(fields, 5, HASH_BYTES))


def _commitment(fields: Fields) -> bytes:
    return _octets(fields, 2, COMMITMENT_BYTES) if fields[2] != b"" else b""


def _point(fields: Fields) -> bytes:
    point = _octets(fields, 1, POINT_BYTES)
    if point[0] != _UNCOMPRESSED:
        raise Malformed("a meter key is an uncompressed point")
    return point


def _octets(fields: Fields, key: int, size: int) -> bytes:
    value = fields[key]
    if not isinstance(value, bytes) or len(value) != size:
        raise Malformed(f"field {key} of this KEY entry has {size} bytes")
    return value
