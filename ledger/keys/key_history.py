"""What follows from a node's KEY entries, one after the other: which key signs where, and what is revoked. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from ledger.entry import NO_HASH, EntryType, SignedEntry
from ledger.errors import BrokenChain, Foreign, Gap, Revoked, TooLarge
from ledger.keys.bodies import (
    ClosedEpoch,
    EpochStart,
    Genesis,
    KeyBody,
    MeterKey,
    Place,
    Rotation,
    Succession,
    check_consent,
    commitment_to,
    decode_key,
)
from ledger.keys.meter_key import check_meter_key

MAX_KEYS: Final = 1_000
"""KEY entries of one node. One is rotated or restored a few times in a life; a peer must not fill us with them."""


@dataclass(frozen=True, slots=True)
class Turn:
    """From entry `seq` of `epoch` on `public` signs, up to the next turn of the same epoch."""

    epoch: bytes
    seq: int
    public: bytes


@dataclass(frozen=True, slots=True)
class KeyHistory:
    """A node's keys as far as we were shown them. `with_entry` takes the next KEY entry; nothing else changes it.

    live: the epoch that goes on, empty before the genesis is known. commitment: to the offline revocation key, empty
    where there is none. meters: newest last.
    """

    node: bytes
    live: bytes = b""
    commitment: bytes = b""
    revoked: frozenset[bytes] = frozenset()
    meters: tuple[MeterKey, ...] = ()
    _current: bytes = b""
    _turns: tuple[Turn, ...] = ()
    _before: Mapping[bytes, ClosedEpoch] = field(default_factory=dict)  # epoch -> the one that its start closed
    _bounds: Mapping[bytes, ClosedEpoch] = field(default_factory=dict)  # up to where revoked keys count, by epoch

    @property
    def known(self) -> bool:
        """Whether any KEY entry was shown. Before, the genesis key is taken for the one that signs."""
        return bool(self._turns)

    @property
    def current(self) -> bytes:
        """The key that signs now, empty where the node was given up."""
        return self._current if self.known else self.node

    def key_at(self, epoch: bytes, seq: int) -> bytes:
        """The key that signs there, revoked or not. Raises Gap for an epoch whose KEY entry was not shown."""
        if not self.known:
            return self.node
        turns = [turn for turn in self._turns if turn.epoch == epoch and turn.seq <= seq]
        if not turns:
            raise Gap(f"the KEY entry of this epoch of {self.node.hex()[:16]}… is not held here")
        return max(turns, key=lambda turn: turn.seq).public

    def signed(self, public: bytes) -> bool:
        """Whether this key ever signed for the node; its name does where nothing else is known."""
        return any(turn.public == public for turn in self._turns) if self.known else public == self.node

    def counts(self, epoch: bytes, seq: int) -> bool:
        """Whether what stands there counts, whenever it is shown: its key is not revoked, or it is of the part that
        the revocation names (whose root then says what stands there)."""
        if self.key_at(epoch, seq) not in self.revoked:
            return True
        bound = self._bounds.get(epoch)
        return bound is not None and seq < bound.size

    def ended(self, epoch: bytes) -> ClosedEpoch | None:
        """How an epoch before the live one ended; None for the live one, and for one that is not of this line."""
        return self._line(self._before.get(self.live)).get(epoch)

    def signer_of(self, signed: SignedEntry, *, ours: bool = False) -> bytes:
        """The key whose signature a new entry of this node must carry. Raises Gap, Revoked, or what a body raises.

        What a revoked key signed is refused, however old it says it is: what counted was held before. ours: an epoch
        whose KEY entry we lost with a ledger is one of the key that signs now.
        """
        entry = signed.entry
        body = decode_key(signed.body) if entry.type is EntryType.KEY else None
        match body:
            case Genesis():
                key = self.node
            case EpochStart():
                key = self.current
            case Succession():
                return body.offline
            case _ if ours and self.known and not self.has(entry.epoch):
                key = self.current
            case _:
                key = self.key_at(entry.epoch, entry.seq)
        if not key or key in self.revoked:
            raise Revoked(f"a key of {self.node.hex()[:16]}… is revoked: what it signs counts no more")
        return key

    def with_entry(self, signed: SignedEntry) -> KeyHistory:
        """The history after one more KEY entry, whose signature by `signer_of` and whose body were checked.

        Raises Foreign, Gap, BrokenChain (it contradicts what was said before), BadSignature or TooLarge.
        """
        place, body = Place.of(signed.entry), decode_key(signed.body)
        if place.node != self.node:
            raise Foreign("a KEY entry of another node")
        if len(self._turns) + len(self.meters) >= MAX_KEYS:
            raise TooLarge(f"a node has {MAX_KEYS} KEY entries at most")
        if not self.known and not isinstance(body, Genesis):
            raise Gap("a node's KEY entries begin with its genesis")
        return self._after(place, body)

    def _after(self, place: Place, body: KeyBody) -> KeyHistory:
        match body:
            case Genesis():
                return self._with_genesis(place, body)
            case Rotation():
                return self._with_rotation(place, body)
            case Succession():
                return self._with_succession(place, body)
            case EpochStart():
                return self._with_start(place, body)
            case MeterKey():
                _demand(place.seq > 0, "a meter key starts no epoch")
                check_meter_key(self.node, body)
                return replace(self, meters=(*self.meters, body))

    def _with_genesis(self, place: Place, body: Genesis) -> KeyHistory:
        """A second one is of a node that lost its ledger: it can't say anything else about its keys."""
        self._check_new_epoch(place)
        _demand(place.prev == NO_HASH, "a genesis entry has no entry before")
        _demand(body.public == self.node, "a genesis entry names the key that signs it")
        if self.known:
            _demand(self.current == self.node, "the genesis key has been rotated away")
            _demand(body.commitment == self.commitment, "a second genesis names another revocation key")
        after = self._with_turns(Turn(place.epoch, 0, body.public))
        if self.known:
            return after
        return replace(after, live=place.epoch, _current=body.public, commitment=body.commitment)

    def _with_rotation(self, place: Place, body: Rotation) -> KeyHistory:
        _demand(place.seq > 0, "a rotation starts no epoch")
        _demand(self.key_at(place.epoch, place.seq) == self.current, "this key has been rotated away already")
        self._check_new_key(body.public)
        _demand(self.commitment in (b"", body.commitment), "only the offline key may name another revocation key")
        check_consent(place, body)
        after = self._with_turns(Turn(place.epoch, place.seq + 1, body.public))
        return replace(after, _current=body.public, commitment=body.commitment)

    def _with_start(self, place: Place, body: EpochStart) -> KeyHistory:
        self._check_new_epoch(place)
        _demand(body.public == self.current, "an epoch is started by the key that signs now")
        _demand(body.commitment == self.commitment, "only the offline key may name another revocation key")
        return self._with_turns(Turn(place.epoch, 0, body.public))._with_before(place, body.closed)

    def _with_succession(self, place: Place, body: Succession) -> KeyHistory:
        self._check_new_epoch(place)
        _demand(self.commitment == commitment_to(body.offline), "this is not the offline key that genesis named")
        self._check_new_key(body.public)
        check_consent(place, body)
        revoked = self.revoked | {turn.public for turn in self._turns if turn.public != body.offline}
        turns = [Turn(place.epoch, 0, body.offline), *([Turn(place.epoch, 1, body.public)] if body.public else [])]
        after = self._with_turns(*turns)._with_before(place, body.closed)
        bounds = self._line(body.closed)
        return replace(after, _current=body.public, commitment=body.commitment, revoked=revoked, _bounds=bounds)

    def _with_turns(self, *turns: Turn) -> KeyHistory:
        return replace(self, _turns=(*self._turns, *turns))

    def _with_before(self, place: Place, closed: ClosedEpoch) -> KeyHistory:
        live = place.epoch if closed.epoch == self.live else self.live
        return replace(self, live=live, _before={**self._before, place.epoch: closed})

    def _line(self, closed: ClosedEpoch | None) -> Mapping[bytes, ClosedEpoch]:
        """An ended epoch and those before it, each as its successor closed it."""
        line: dict[bytes, ClosedEpoch] = {}
        while closed is not None and closed.epoch not in line:
            line[closed.epoch] = closed
            closed = self._before.get(closed.epoch)
        return line

    def has(self, epoch: bytes) -> bool:
        """Whether the KEY entry that starts it was shown."""
        return any(turn.epoch == epoch for turn in self._turns)

    def _check_new_epoch(self, place: Place) -> None:
        _demand(place.seq == 0, "only the first entry of an epoch starts it")
        _demand(not self.has(place.epoch), "this epoch was started before")

    def _check_new_key(self, public: bytes) -> None:
        _demand(all(turn.public != public for turn in self._turns), "this key has signed for the node before")


def fold_keys(node: bytes, entries: Iterable[SignedEntry]) -> KeyHistory:
    """The history of `node` from its KEY entries, each checked in full. Raises what a bad one raises."""
    history = KeyHistory(node)
    for signed in entries:
        signed.check(history.signer_of(signed))
        history = history.with_entry(signed)
    return history


def _demand(condition: bool, sentence: str) -> None:
    if not condition:
        raise BrokenChain(sentence)
