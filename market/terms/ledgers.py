"""What two nodes tell each other about their ledgers, outside of sessions; signed by nobody but what they carry.

A peer that holds more of our chain than we do is asked to show it (Recall, Recalled, Shown). Correspond opens a frame
of entries that belong to no running session, and of checkpoints to be witnessed.
"""

from dataclasses import dataclass

from market.terms.agreement import REQUEST_ID
from market.terms.control import EPOCH_HINT_BYTES
from market.terms.mapping import Boolean, Bytes, Integer, ListOf, Octets, at, check

HASH = Bytes(32)
SIGNATURE = Bytes(64)
SIZE = Integer(0, 2**62)
NOTE = Octets(1, 1_024)
"""A checkpoint's text in UTF-8, signatures included."""
MAX_HEARD = 8
"""As many entries as a frame has room for."""
MAX_PROOF_HASHES = 40
"""Of a consistency proof: enough for 2^38 entries of one epoch."""


@dataclass(frozen=True, slots=True)
class Correspond:
    """Begins a frame that belongs to no session, and its answer.

    session_id: the trade that the entries of a trade in this frame are about. heard: hashes of the entries that came
    last from the other side and are kept.
    """

    session_id: bytes = at(0, REQUEST_ID, b"")
    heard: tuple[bytes, ...] = at(1, ListOf(HASH, 0, MAX_HEARD), ())

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Recall:
    """Either side: show me what you hold of the trades in which I signed entries from this place of my chain on; or
    (keys) the KEY entries of your own chain.

    epoch: how it begins. after: where the last Recalled stopped; at first 0, or how many KEY entries are held here.
    """

    epoch: bytes = at(0, Bytes(EPOCH_HINT_BYTES))
    from_seq: int = at(1, SIZE)
    after: int = at(2, SIZE, 0)
    keys: bool = at(3, Boolean(), False)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Recalled:
    """The answer, before the Shown of the same frame. after: where the next Recall goes on; 0 when that was all."""

    after: int = at(0, SIZE, 0)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Shown:
    """A signed thing as it is held, nothing left out: an entry with its body and salt, or (kind 1 to 4) a signed
    request, offer, counter or voucher. request_id: of the trade that it was kept for."""

    payload: bytes = at(0, Octets(1, 1_024))
    signature: bytes = at(1, SIGNATURE)
    request_id: bytes = at(2, REQUEST_ID, b"")
    salt: bytes = at(3, Bytes(16), b"")
    body: bytes = at(4, Octets(0, 1_024), b"")
    kind: int = at(5, Integer(0, 4), 0)
    signer: bytes = at(6, Bytes(32), b"")
    """Of a message; an entry names its own."""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class CheckpointShown:
    """Either side: my newest checkpoint, for you to cosign; and why it continues the one of `from_size` (RFC 9162,
    2.1.4), which is the newest that you have cosigned as far as I know."""

    note: bytes = at(0, NOTE)
    from_size: int = at(1, SIZE, 0)
    proof: tuple[bytes, ...] = at(2, ListOf(HASH, 0, MAX_PROOF_HASHES), ())

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Cosignature:
    """The answer: the line that a C2SP cosignature/v1 adds to the checkpoint's text, without its end."""

    line: bytes = at(0, Octets(1, 512))

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Remembered:
    """The answer where what was shown does not continue what is remembered: your own checkpoint, as you signed it."""

    note: bytes = at(0, NOTE)

    def __post_init__(self) -> None:
        check(self)
