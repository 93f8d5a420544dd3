"""What one end has to see of the other before anything else is said on a link: entries of its own chain that it lost,
and the KEY entries of a peer whose key it does not know.

Whoever restored a backup, or whose card lost its last writes, would else sign a second entry for a place that is taken.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from ledger.errors import LedgerError
from ledger.keys.key_history import KeyHistory
from market.errors import TermsInvalid
from market.terms import Hello, Message, MessageType, Recall, Recalled, Shown
from v2xnode.envelope import FrameInvalid, Item, Place, Plain, Reading, read
from v2xnode.links.greeting import RawItems

MAX_SHOWN = 20_000
"""Signed things that a peer may show at once: some 12 MB in memory, and years of trades between two cars."""

MEETING_S = 600
"""Real time for all that is recalled when two meet: the whole of `MAX_SHOWN` at 20 kB/s. Who calls waits for it."""


@dataclass(frozen=True, slots=True)
class Introduced:
    """Who a peer says it is. recall: what it has to show first; None where its keys lead to that of the link."""

    keys: KeyHistory
    recall: Recall | None = None

    @property
    def node(self) -> bytes:
        """Its genesis key."""
        return self.keys.node


class Chains(Protocol):
    """What links ask of the ledger: about our own chain, and about the keys of others."""

    async def key_of(self, node: bytes) -> bytes:
        """The key under which a node is reached now."""
        ...

    async def introduced(self, key: bytes, hello: Hello) -> Introduced:
        """Whose key this is. Raises PeerError for one that was given up."""
        ...

    async def learn(self, node: bytes, key: bytes, shown: Sequence[Shown]) -> KeyHistory:
        """Keep KEY entries. Raises PeerError where they do not lead from `node` to `key`."""
        ...

    async def missing(self, place: Place) -> Recall | None:
        """What to ask of a peer that says it holds our entry at this place; None where we hold it too."""
        ...

    async def claimed(self, peer: bytes) -> None:
        """A peer that we really talk to says that it holds more than we do: sign nothing more where it may have been
        signed already."""
        ...

    async def held(self, peer: bytes, recall: Recall) -> Sequence[Plain]:
        """The answer to a Recall: a Recalled, and Shown behind it, as many as fit into one frame."""
        ...

    async def adopt(self, peer: bytes, shown: Sequence[Shown]) -> None:
        """Keep what a peer showed. Raises PeerError where there is no entry of ours beyond our own in it."""
        ...


class NoChains:
    """Of an end that keeps no ledger: it misses nothing, holds nothing of others, and knows genesis keys only."""

    async def key_of(self, node: bytes) -> bytes:
        return node

    async def introduced(self, key: bytes, hello: Hello) -> Introduced:
        return Introduced(KeyHistory(key))

    async def learn(self, node: bytes, key: bytes, shown: Sequence[Shown]) -> KeyHistory:
        return KeyHistory(node)

    async def missing(self, place: Place) -> Recall | None:
        return None

    async def claimed(self, peer: bytes) -> None:
        """Nothing to protect."""

    async def held(self, peer: bytes, recall: Recall) -> Sequence[Plain]:
        return [Plain(Recalled())]

    async def adopt(self, peer: bytes, shown: Sequence[Shown]) -> None:
        """Nothing was asked for."""


@dataclass(slots=True)
class Recalling:
    """One recall, question by question. keep: takes all that was shown, and raises PeerError where it is not enough."""

    recall: Recall
    keep: Callable[[Sequence[Shown]], Awaitable[None]]
    shown: list[Shown] = field(default_factory=list)
    is_over: bool = False

    @property
    def question(self) -> Sequence[Item]:
        """What to ask next; nothing once it is over."""
        return () if self.is_over else (Plain(self.recall),)

    async def hear(self, items: RawItems) -> None:
        """A part of the answer; once it is whole it is kept. Anything else is not heard. Raises PeerError."""
        if not is_recalled(items):
            return
        head, *shown = [_read(raw) for raw in items]
        things = [each for each in shown if isinstance(each, Shown)]
        if not isinstance(head, Recalled) or len(things) < len(shown):
            raise FrameInvalid("What is recalled is shown behind a Recalled, and nothing else.")
        self.shown += things
        if len(self.shown) > MAX_SHOWN or (head.after and not things):
            raise FrameInvalid("Too much is shown, or nothing.")
        if head.after:
            self.recall = Recall(self.recall.epoch, self.recall.from_seq, head.after, self.recall.keys)
            return
        await self.keep(self.shown)
        self.is_over = True


@dataclass(slots=True)
class Meeting:
    """What a peer has to show us on a link before anything else that it says counts: keys first, then our own chain."""

    chains: Chains
    keys: KeyHistory
    recallings: list[Recalling] = field(default_factory=list)

    @classmethod
    async def begin(cls, chains: Chains, key: bytes, hello: Hello, claimed: Place | None) -> "Meeting":
        """From a peer's greeting: who it is, and the place of our chain that it says it holds.

        Raises PeerError for a key that was given up.
        """
        who = await chains.introduced(key, hello)
        meeting = cls(chains, who.keys)
        if who.recall is not None:
            meeting.recallings.append(Recalling(who.recall, lambda shown: meeting._learn(key, shown)))
        missing = None if claimed is None else await chains.missing(claimed)
        if missing is not None:
            meeting.recallings.append(Recalling(missing, lambda shown: chains.adopt(who.node, shown)))
        return meeting

    @property
    def peer(self) -> bytes:
        """The node at the other end, by its genesis key."""
        return self.keys.node

    @property
    def question(self) -> Sequence[Item]:
        """What to ask next; nothing once all was shown."""
        return self.recallings[0].question if self.recallings else ()

    async def hear(self, items: RawItems) -> None:
        """An answer of a peer that we really talk to. Raises PeerError."""
        if not self.recallings[0].recall.keys:
            await self.chains.claimed(self.peer)
        await self.recallings[0].hear(items)
        if self.recallings[0].is_over:
            del self.recallings[0]

    async def _learn(self, key: bytes, shown: Sequence[Shown]) -> None:
        self.keys = await self.chains.learn(self.peer, key, shown)


async def ask_all(meeting: Meeting, ask: Callable[[Sequence[Item]], Awaitable[RawItems]]) -> None:
    """As the dialer: ask until all was shown. Raises PeerError for a peer that claims and does not show, LinkLost."""
    async with in_time():
        while question := meeting.question:
            answer = await ask(question)
            if not is_recalled(answer):
                raise FrameInvalid("The peer does not show what it says it holds.")
            await meeting.hear(answer)


@asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """All that is asked and shown at one meeting. Raises FrameInvalid where that takes longer than `MEETING_S`."""
    try:
        async with asyncio.timeout(MEETING_S):
            yield
    except TimeoutError:
        raise FrameInvalid("What is recalled is shown without an end.") from None


def is_recall(items: RawItems) -> bool:
    """Whether a frame asks to be shown something."""
    return bool(items) and items[0][0] == MessageType.RECALL


def is_recalled(items: RawItems) -> bool:
    """Whether a frame shows what was recalled."""
    return bool(items) and items[0][0] == MessageType.RECALLED


async def held_for(chains: Chains, peer: bytes, items: RawItems) -> Sequence[Item]:
    """The answer to a frame that recalls. Raises FrameInvalid."""
    recall = _read(items[0])
    if not isinstance(recall, Recall):
        raise FrameInvalid("A recall stands first in its frame.")
    return await chains.held(peer, recall)


def _read(raw: list[object]) -> Message:
    try:
        return read(raw, _NOTHING).message
    except (LedgerError, TermsInvalid) as problem:
        raise FrameInvalid(str(problem)) from None


_NOTHING = Reading(b"", b"", b"", None, lambda node, epoch, seq: None)
