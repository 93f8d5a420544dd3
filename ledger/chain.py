"""The rules that join entries to a chain. Pure: what is held comes in, an error or nothing comes out."""

from __future__ import annotations

from typing import Final

from ledger.entry import NO_HASH, Entry, EntryType, SignedEntry
from ledger.errors import BeyondHead, BrokenChain, Foreign, Fork, Gap, Unanswered
from ledger.keys.key_history import KeyHistory

MUST_ANSWER: Final = frozenset(
    {
        EntryType.ACCEPT,  # the offer
        EntryType.CONFIRM,  # the accept
        EntryType.REJECT,  # the accept
        EntryType.RECEIPT,  # the interval
        EntryType.RESOLVE,  # the dispute
        EntryType.CLOSED,  # the close
    }
)
"""Types that mean nothing without what they answer. Others may answer something of their trade."""


def check_start(entry: Entry) -> None:
    """What one entry shows alone: an epoch begins with a KEY, and only there `prev` may be empty."""
    if entry.seq == 0 and entry.type is not EntryType.KEY:
        raise BrokenChain(f"an epoch begins with KEY, not {entry.type.name}")
    if entry.seq > 0 and entry.prev == NO_HASH:
        raise BrokenChain("only a genesis entry has no entry before")


def check_link(previous: Entry | None, entry: Entry) -> None:
    """Whether `entry` continues a whole chain whose head is `previous` (None: the chain begins here).

    Raises Foreign, Gap or BrokenChain.
    """
    check_start(entry)
    if previous is None:
        _check_genesis(entry)
        return
    if entry.node != previous.node:
        raise Foreign(f"an entry of {entry.node.hex()[:16]}… in the chain of {previous.node.hex()[:16]}…")
    expected = previous.seq + 1 if entry.epoch == previous.epoch else 0
    if entry.seq != expected:
        raise Gap(f"seq {entry.seq} where {expected} was due")
    if entry.prev != previous.hash:
        raise BrokenChain(f"prev of entry {entry.seq} is not the hash of the entry before")


def check_neighbours(
    shown: SignedEntry, *, same: SignedEntry | None, before: bytes | None, after: bytes | None
) -> None:
    """Whether a peer's entry fits what is held of its chain, of which we may hold only pieces.

    `same` is the one held at the same epoch and seq, `before` the hash held at seq - 1, `after` the `prev` of the
    one held at seq + 1. Raises Fork (two signatures for one place) or BrokenChain.
    """
    entry = shown.entry
    if same is not None and same.hash != shown.hash:
        raise Fork(f"{entry.node.hex()[:16]}… signed two entries {entry.seq} of one epoch", same, shown)
    check_fit(entry, before=before, after=after)


def check_fit(entry: Entry, *, before: bytes | None, after: bytes | None) -> None:
    """`check_neighbours` for a place that is free."""
    check_start(entry)
    if before is not None and entry.prev != before:
        raise BrokenChain(f"prev of entry {entry.seq} is not the hash of the entry held before it")
    if after is not None and entry.hash != after:
        raise BrokenChain(f"entry {entry.seq} is not the one that the entry held after it names")


def check_adopted(entry: Entry, keys: KeyHistory) -> None:
    """Whether an entry of ours, lost and shown to us again, may be kept beside our chain: what it says is binding.

    Its epoch is over, and it stands behind the part of it that our chain holds whole. Raises BeyondHead or Gap.
    """
    if entry.epoch == keys.live:
        raise BeyondHead("our chain still grows in the epoch of this entry; open a new one first")
    ended = keys.ended(entry.epoch)
    if ended is not None and entry.seq < ended.size:
        raise Gap(f"our own entry {entry.seq} is missing in an epoch that we ended with {ended.size} entries")


def check_answers(signed: SignedEntry, answered: bytes | None) -> None:
    """Whether it answers what it must. `answered` is the request id under which that is held, None when it is not."""
    entry = signed.entry
    if not entry.answers:
        if entry.type in MUST_ANSWER:
            raise Unanswered(f"{entry.type.name} must name what it answers")
    elif entry.type.of_trade and answered != signed.request_id:
        raise Unanswered(f"{entry.type.name} answers something that is not held of its trade")


def _check_genesis(entry: Entry) -> None:
    if entry.seq != 0 or entry.type is not EntryType.KEY:
        raise Gap("a chain begins with its KEY entry, seq 0")
    if entry.prev != NO_HASH:
        raise BrokenChain("a genesis entry has no entry before")
