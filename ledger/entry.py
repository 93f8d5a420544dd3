"""One signed link of a chain: its payload, its hash, its body and the short form in which it travels.

The payload is the deterministic CBOR array `[version, node, epoch, seq, prev, type, answers, body_commitment]`.
Peer, time and amounts stand in the body, to which the payload only commits: whoever holds a chain without its
bodies sees nothing of who traded with whom.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, TypeAlias

from ledger import cbor
from ledger.errors import BadCommitment, Gap, Malformed
from ledger.signing import AAD_ENTRY, PUBLIC_BYTES, SIGNATURE_BYTES, Signer, cose_bytes, sign1, verify1

VERSION: Final = 1
NODE_BYTES: Final = PUBLIC_BYTES
HASH_BYTES: Final = 32
EPOCH_BYTES: Final = 8
SALT_BYTES: Final = 16
REQUEST_ID_BYTES: Final = 16
NO_HASH: Final = bytes(HASH_BYTES)
"""`prev` of a genesis entry."""

MAX_BODY_BYTES: Final = cbor.MAX_BYTES
"""A body travels inside one message, which has the same limit."""

_HMAC_BLOCK: Final = 64
_INNER_PAD: Final = bytes(each ^ 0x36 for each in range(256))
_OUTER_PAD: Final = bytes(each ^ 0x5C for each in range(256))
"""HMAC-SHA256 by hand (RFC 2104, 2): two hashes cost half of what the library's set-up does, three times an entry."""

_SIZES: Final = (
    ("node", NODE_BYTES),
    ("epoch", EPOCH_BYTES),
    ("prev", HASH_BYTES),
    ("body_commitment", HASH_BYTES),
)

Wire: TypeAlias = list[int | bytes]
PrevLookup: TypeAlias = Callable[[bytes, bytes, int], bytes | None]
"""(node, epoch, seq) -> the hash of the entry held there, None when none is held. See `View.hash_at`."""


class EntryType(IntEnum):
    """What an entry says. The numbers are on the wire and never change."""

    KEY = 1
    ACCEPT = 2
    CONFIRM = 3
    REJECT = 4
    VOID = 5
    INTERVAL = 6
    RECEIPT = 7
    DISPUTE = 8
    RESOLVE = 9
    CLOSE = 10
    CLOSED = 11
    NET = 12
    PAY = 13
    CHECKPOINT = 14
    WITNESS = 15
    FORK = 16

    @property
    def of_trade(self) -> bool:
        """Whether it belongs to one trade: it then has a request id, and its salt follows from that."""
        return EntryType.ACCEPT <= self <= EntryType.CLOSED


@dataclass(frozen=True, slots=True)
class Entry:
    """The signed part. One that exists has the right form; raises Malformed otherwise.

    `node` is the genesis key (32 bytes), `epoch` 8 random bytes, `seq` counts from 0 in each epoch, `prev` is the
    hash before, `answers` the hash of what it answers (32 bytes, or none).
    """

    version: int
    node: bytes
    epoch: bytes
    seq: int
    prev: bytes
    type: EntryType
    answers: bytes
    body_commitment: bytes
    payload: bytes = field(init=False, repr=False, compare=False)
    hash: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._check()
        self._seal(cbor.encode(self._fields()))

    def _check(self) -> None:
        if self.version != VERSION:
            raise Malformed(f"version {self.version} is not known")
        for name, size in _SIZES:
            if len(getattr(self, name)) != size:
                raise Malformed(f"{name} has {size} bytes")
        _require(0 <= self.seq <= cbor.INT_MAX, "seq is from 0 to 2^63-1")
        if len(self.answers) not in (0, HASH_BYTES):
            raise Malformed(f"answers has {HASH_BYTES} bytes or none")

    def _seal(self, payload: bytes) -> None:
        object.__setattr__(self, "payload", payload)
        object.__setattr__(self, "hash", hashlib.sha256(payload).digest())

    def _fields(self) -> list[int | bytes]:
        # fmt: off
        return [self.version, self.node, self.epoch, self.seq, self.prev, int(self.type), self.answers,
                self.body_commitment]
        # fmt: on

    @classmethod
    def parse(cls, payload: bytes) -> Entry:
        """The entry of exactly these bytes. Raises Malformed, NotCanonical or TooLarge."""
        match cbor.decode(payload):
            case [version, node, epoch, seq, prev, type_, answers, commitment]:
                entry = cls.__new__(cls)
                for name, value_ in (
                    ("version", _integer("version", version)),
                    ("node", _octets("node", node)),
                    ("epoch", _octets("epoch", epoch)),
                    ("seq", _integer("seq", seq)),
                    ("prev", _octets("prev", prev)),
                    ("type", _entry_type(type_)),
                    ("answers", _octets("answers", answers)),
                    ("body_commitment", _octets("body_commitment", commitment)),
                ):
                    object.__setattr__(entry, name, value_)
                entry._check()
                entry._seal(payload)  # one value has one encoding: these are the bytes that it would have
                return entry
        raise Malformed("an entry is an array of eight fields")


@dataclass(frozen=True, slots=True)
class SignedEntry:
    """An entry with its signature and the body that it commits to. `request_id` is set for the types of a trade.

    Salt and body are empty where the ledger has dropped them (`pruned`); such a one fails `check`.
    """

    entry: Entry
    signature: bytes
    salt: bytes
    body: bytes
    request_id: bytes | None

    @property
    def pruned(self) -> bool:
        """Whether salt and body were dropped after a Net of both: signature and place still hold."""
        return not self.salt

    @property
    def hash(self) -> bytes:
        """SHA-256 of the payload: the same whoever signs it how often."""
        return self.entry.hash

    @property
    def cose(self) -> bytes:
        """The COSE_Sign1 array (external data `AAD_ENTRY`)."""
        return cose_bytes(self.entry.payload, self.signature)

    def check(self, key: bytes) -> None:
        """Raises Malformed, BadCommitment or BadSignature unless body, salt, request id and signature all fit.

        `key` signs at this place of the node's chain: see `key_history`.
        """
        check_body(self)
        verify1(key, self.entry.payload, self.signature, AAD_ENTRY)


SignerOf: TypeAlias = Callable[[SignedEntry], bytes]
"""The public key that must have signed an entry. See `key_history.KeyHistory.signer_of`."""


def genesis_key(signed: SignedEntry) -> bytes:
    """Who signs for a node that never changed its key."""
    return signed.entry.node


def sign_entry(signer: Signer, entry: Entry, *, salt: bytes, body: bytes, request_id: bytes | None) -> SignedEntry:
    """Sign an entry of our own and bind it to its body. Raises as `check_body` for one that does not fit.

    The signature is not verified again. That would find a processor's fault, at twice the price of signing; but a
    faulty signature gives the key away only beside the right one over the same bytes, and no entry is signed twice.
    """
    signed = SignedEntry(entry, sign1(signer, entry.payload, AAD_ENTRY), salt, body, request_id)
    check_body(signed)
    return signed


def trade_salt(request_id: bytes, epoch: bytes, seq: int) -> bytes:
    """The salt of a trade's entry: known to both parties, to nobody else, and different for each entry."""
    message = epoch + seq.to_bytes(8, "big")
    key = request_id.ljust(_HMAC_BLOCK, b"\0")
    inner = hashlib.sha256(key.translate(_INNER_PAD) + message).digest()
    return hashlib.sha256(key.translate(_OUTER_PAD) + inner).digest()[:SALT_BYTES]


def commit(salt: bytes, body: bytes) -> bytes:
    """SHA-256(salt || body). The salt has exactly 16 bytes, or one commitment would fit many bodies."""
    _require(len(salt) == SALT_BYTES, f"a salt has {SALT_BYTES} bytes")
    return hashlib.sha256(salt + body).digest()


def check_body(signed: SignedEntry) -> None:
    """All of `SignedEntry.check` except the signature."""
    entry, request_id = signed.entry, signed.request_id
    _require(len(signed.body) <= MAX_BODY_BYTES, f"a body has {MAX_BODY_BYTES} bytes at most")
    _require(entry.type.of_trade == (request_id is not None), f"{entry.type.name} and its request id don't fit")
    if request_id is not None:
        _require(len(request_id) == REQUEST_ID_BYTES, f"a request id has {REQUEST_ID_BYTES} bytes")
        if signed.salt != trade_salt(request_id, entry.epoch, entry.seq):
            raise BadCommitment("the salt is not the one of this request id")
    if entry.body_commitment != commit(signed.salt, signed.body):
        raise BadCommitment("the body is not the one that the entry commits to")


def to_wire(signed: SignedEntry, *, with_prev: bool, with_answers: bool = True, with_epoch: bool = False) -> Wire:
    """`[type, seq, prev, answers, body, signature]`, behind them the salt for what belongs to no trade, and the epoch
    where it is another than the receiver takes it to be.

    Node, epoch and request id are known from the link, and a trade's salt follows from them. Without `with_prev`
    the third is empty: the receiver holds the entry before. The first of an epoch always carries it. Without
    `with_answers` the fourth is `true`: the receiver knows what must be answered here (its one live offer, its
    own last entry).
    """
    entry = signed.entry
    prev = entry.prev if with_prev or entry.seq == 0 else b""
    answers = entry.answers if with_answers or not entry.answers else True
    wire: Wire = [int(entry.type), entry.seq, prev, answers, signed.body, signed.signature]
    if not entry.type.of_trade:
        wire.append(signed.salt)
    return [*wire, entry.epoch] if with_epoch else wire


def from_wire(
    wire: object,
    *,
    node: bytes,
    epoch: bytes,
    request_id: bytes | None,
    prev_lookup: PrevLookup,
    expected_answers: bytes = b"",
    signer_of: SignerOf = genesis_key,
) -> SignedEntry:
    """Rebuild what `to_wire` left out, then check body and signature.

    `epoch` counts where the entry names no other. `request_id` is the session's; it is not used for types that belong
    to no trade. `expected_answers` is the hash that an entry is to answer here, put in where the sender left it out.
    `signer_of` says which key must have signed, where the node's keys were ever changed (`View.keys_of`).
    Raises Malformed, Gap (what was left out is not known here: ask for the whole), BadCommitment or BadSignature.
    """
    match wire:
        case [type_, seq, prev, answers, body, signature, *rest]:
            kind, number = _entry_type(type_), _sequence(seq)
        case _:
            raise Malformed("an entry on the wire is an array of six to eight")
    salts, epoch = _split(kind, rest, epoch)
    trade_id = request_id if kind.of_trade else None
    entry_body, entry_salt = _octets("body", body), _salt_of(kind, trade_id, epoch, number, salts)
    entry = Entry(
        version=VERSION,
        node=node,
        epoch=epoch,
        seq=number,
        prev=_octets("prev", prev) or _held_prev(prev_lookup, node, epoch, number),
        type=kind,
        answers=_known_answers(expected_answers) if answers is True else _octets("answers", answers),
        body_commitment=commit(entry_salt, entry_body),
    )
    signed = SignedEntry(entry, _octets("signature", signature), entry_salt, entry_body, trade_id)
    _require(len(signed.signature) == SIGNATURE_BYTES, f"a signature has {SIGNATURE_BYTES} bytes")
    signed.check(signer_of(signed))
    return signed


def _split(kind: EntryType, rest: list[object], epoch: bytes) -> tuple[list[object], bytes]:
    """The salt, where one belongs, and the epoch: the one that is named, else the one that is expected."""
    salts, epochs = ([], rest) if kind.of_trade else (rest[:1], rest[1:])
    match epochs:
        case []:
            return salts, epoch
        case [bytes() as named] if len(named) == EPOCH_BYTES and named != epoch:
            return salts, named
    raise Malformed("behind an entry's signature stand its salt, if it belongs to no trade, and another epoch")


def _salt_of(kind: EntryType, request_id: bytes | None, epoch: bytes, seq: int, salts: list[object]) -> bytes:
    _require(kind.of_trade == (not salts), "a salt travels with what belongs to no trade, and with nothing else")
    if salts:
        return _octets("salt", salts[0])
    if request_id is None:
        raise Malformed(f"{kind.name} belongs to a trade")
    return trade_salt(request_id, epoch, seq)


def _held_prev(prev_lookup: PrevLookup, node: bytes, epoch: bytes, seq: int) -> bytes:
    _require(seq > 0, "the first entry of an epoch carries prev")
    held = prev_lookup(node, epoch, seq - 1)
    if held is None:
        raise Gap(f"entry {seq - 1} of {node.hex()[:16]}… is not held here, and prev was left out")
    return held


def _known_answers(expected: bytes) -> bytes:
    if not expected:
        raise Gap("what the entry answers was left out, and nothing is expected here")
    return expected


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise Malformed(sentence)


def _octets(name: str, value: object) -> bytes:
    if not isinstance(value, bytes):
        raise Malformed(f"{name} must be a byte string")
    return value


def _integer(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Malformed(f"{name} must be an integer")
    return value


def _sequence(value: object) -> int:
    seq = _integer("seq", value)
    _require(0 <= seq <= cbor.INT_MAX, "seq is from 0 to 2^63-1")
    return seq


def _entry_type(value: object) -> EntryType:
    number = _integer("type", value)
    try:
        return EntryType(number)
    except ValueError:
        raise Malformed(f"entry type {number} is not known") from None
