"""What either end of a greeted link has: who the peer is, the seal, and what each holds of the other's chain."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from ledger.entry import SignedEntry
from market.terms import EPOCH_HINT_BYTES, Hello, Subscribe
from transports.errors import LinkExhausted, TransportError
from transports.interface import Link, Pusher
from transports.secure import Session
from v2xnode.envelope import FrameInvalid, Item, Place, Plain, Reading, in_full, pack, place_of, unpack
from v2xnode.envelope import Link as EntryItem
from v2xnode.links.greeting import RawItems
from v2xnode.links.recalling import MAX_SHOWN, Chains, Meeting, held_for, in_time, is_recall

REQUEST_TIMEOUT_MS = 10_000
"""Real time for one exchange: several retransmissions on the slowest bearer (protocol: every wait has a deadline)."""
SENT_KEPT = 16
"""Newest entries of ours that went over a link and may still be answered there."""


@dataclass(slots=True)
class PeerLink:
    """What both ends of a greeted link have: who it is, the seal, and what each end holds of the other's chain.

    epoch: of our chain, as we greeted. ours: the newest entry of our chain that the peer holds. theirs: the newest of
    the peer's that we hold. Kept in memory for the link's life: so far as they are known here, entries need not spell
    out the epoch and the hash before.
    """

    bearer: str
    session: Session
    hello: Hello
    meeting: Meeting
    epoch: bytes = b""
    ours: Place | None = None
    theirs: tuple[Place, bytes] | None = None
    _sent: dict[bytes, Place] = field(default_factory=dict)

    @property
    def peer(self) -> bytes:
        """The node at the other end, by its genesis key."""
        return self.meeting.peer

    def context(self, me: bytes, request_id: bytes | None, said: Sequence[bytes] = ()) -> Reading:
        """How to read this peer's items for one session. said: our newest words in it, see `Talk`."""
        keys = self.meeting.keys
        return Reading(me, self.peer, self.hello.epoch, request_id, self._prev, said, self.session.peer, keys.signer_of)

    def _prev(self, _: bytes, epoch: bytes, seq: int) -> bytes | None:
        there = (epoch[:EPOCH_HINT_BYTES], seq)
        return self.theirs[1] if self.theirs is not None and self.theirs[0] == there else None

    def pack(self, items: Sequence[Item]) -> bytes:
        """A frame for this peer, sealed. Raises LinkExhausted."""
        for entry in (item.signed for item in items if isinstance(item, EntryItem)):
            self._sent[entry.hash] = place_of(entry.entry)
        while len(self._sent) > SENT_KEPT:
            del self._sent[next(iter(self._sent))]
        return self.session.seal(pack(items, self.ours, self.epoch))

    def received(self, signed: SignedEntry) -> None:
        """We hold this entry of the peer's now; and the peer holds what it answers."""
        place = place_of(signed.entry)
        if self.theirs is None or self.theirs[0][0] != place[0] or self.theirs[0][1] < place[1]:
            self.theirs = (place, signed.hash)
        answered = self._sent.get(signed.entry.answers)
        if answered is not None and (self.ours is None or self.ours[0] != answered[0] or self.ours[1] < answered[1]):
            self.ours = answered


@dataclass(slots=True)
class AcceptedLink(PeerLink):
    """A link that the peer dialled. Nothing durable counts for it before `session.established`."""

    number: int = 0
    """Rises with each link that is accepted."""
    pusher: Pusher | None = None
    session_id: bytes = b""
    """The session that this link is for, as its newest Request or Resume says; b"" for none."""
    resumed: bool = False
    """Whether it was opened to go on with that session, and nothing was said of it yet."""
    answers: "OrderedDict[bytes, bytes]" = field(default_factory=OrderedDict)

    @property
    def is_subscribed(self) -> bool:
        """Whether the dialer listens to pushes, as far as the bearer knows."""
        return self.pusher is not None and not self.pusher.closed

    def push(self, items: Sequence[Item], *, confirmed: bool) -> None:
        """Send the newest state to a subscribed dialer."""
        if self.pusher is None:
            return
        try:
            self.pusher.push(self.pack(items), confirmed=confirmed)
        except LinkExhausted:
            self.end()  # the dialer notices the silence and dials again, for fresh keys

    def end(self) -> None:
        if self.pusher is not None:
            self.pusher.close()
            self.pusher = None


@dataclass(slots=True)
class Traffic:
    """What one link carried since it was dialled: exchanges, and the bytes of their frames both ways."""

    round_trips: int = 0
    frame_bytes: int = 0

    async def request(self, raw: Link, frame: bytes, timeout_ms: int) -> bytes:
        """One exchange, counted. Raises LinkLost."""
        answer = await raw.request(frame, timeout_ms=timeout_ms)
        self.round_trips += 1
        self.frame_bytes += len(frame) + len(answer)
        return answer


@dataclass(slots=True, kw_only=True)
class DialledLink(PeerLink):
    """A link that we dialled: the raw link beneath, and where it leads."""

    raw: Link
    traffic: Traffic
    chains: Chains

    async def ask(self, items: Sequence[Item], *, timeout_ms: int = REQUEST_TIMEOUT_MS) -> RawItems:
        """Send one frame and return the items of its answer. Raises LinkLost, and FrameInvalid for an answer that can't
        be read or that says that our frame could not.

        A peer that has lost entries of its own asks for them in place of an answer: it is shown them, and asked again.
        """
        answer = await self._exchange(items, timeout_ms)
        if not is_recall(answer):
            return answer
        await self.show(answer, timeout_ms=timeout_ms)
        return await self._exchange([in_full(item) for item in items], timeout_ms)

    async def show(self, recall: RawItems, *, timeout_ms: int = REQUEST_TIMEOUT_MS) -> None:
        """Show the peer what it recalls, frame by frame. Raises LinkLost, FrameInvalid."""
        async with in_time():
            for _ in range(MAX_SHOWN):
                recall = await self._exchange(await held_for(self.chains, self.peer, recall), timeout_ms)
                if not is_recall(recall):
                    return
        raise FrameInvalid("The peer recalls without an end.")

    async def _exchange(self, items: Sequence[Item], timeout_ms: int) -> RawItems:
        answer = await self.traffic.request(self.raw, self.pack(items), timeout_ms)
        return unpack(self.session.open(answer))

    @asynccontextmanager
    async def pushes(self) -> AsyncIterator[AsyncIterator[RawItems]]:
        """Subscribe to a session's states; yields the items of each push that opens. Raises LinkLost."""
        frame = self.pack([Plain(Subscribe())])
        async with self.raw.subscribe(frame, timeout_ms=REQUEST_TIMEOUT_MS) as frames:
            yield self._opened(frames)

    async def _opened(self, frames: AsyncIterator[bytes]) -> AsyncIterator[RawItems]:
        async for frame in frames:
            try:
                yield unpack(self.session.open(frame))
            except (TransportError, FrameInvalid):
                continue  # repeated, overtaken or forged: the next push tells the state again

    async def aclose(self) -> None:
        await self.raw.aclose()
