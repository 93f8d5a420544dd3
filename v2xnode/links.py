"""Private channels to peers that have greeted us, over any bearer.

The dialer of a link is the client of energy: it asks, the acceptor answers and pushes. What crosses a link here are
frames of `envelope`; what they mean is decided above. A peer counts as greeted once its Hello was read: a common
version, the same currency is not demanded yet (the market declines), the epoch of its chain known.
"""

import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from ledger.entry import SignedEntry
from market.terms import EPOCH_HINT_BYTES, PROTOCOL_VERSION, Hello, Subscribe
from transports.errors import LinkExhausted, LinkLost, LocalTransportError, TransportError
from transports.interface import Link, Pusher, Transport
from transports.secure import Accepted, Acceptor, Dialer, Opened, Received, Send, Session, Visibility
from v2xnode.clock import Clock
from v2xnode.envelope import REFUSED, FrameInvalid, Item, Place, Plain, Reading, pack, place_of, read, unpack
from v2xnode.envelope import Link as EntryItem
from v2xnode.errors import NodeError, PeerError, Unreachable
from v2xnode.events import EventLog
from v2xnode.identity import Identity, short
from v2xnode.keeping import Keeper, kept_open

REQUEST_TIMEOUT_MS = 10_000
"""Real time for one exchange: several retransmissions on the slowest bearer (protocol: every wait has a deadline)."""
ANSWERS_KEPT = 8
"""Newest answers of a link, given again when the bearer repeats a question whose answer got lost."""

RawItems = list[list[Any]]
SENT_KEPT = 16
"""Newest entries of ours that went over a link and may still be answered there."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """Our Hello, and the hash of the peer's entry that it says we hold (b"" for none)."""

    hello: Hello
    held_hash: bytes = b""

    @property
    def held(self) -> tuple[Place, bytes] | None:
        """Place and hash of that entry."""
        return next((((head.epoch, head.seq), self.held_hash) for head in self.hello.holds), None)


Opening = Callable[[bytes], Sequence[Item]]
"""What to say to a peer with the greeting, once its key is known."""
MakeGreeting = Callable[[bytes | None], Awaitable[Greeting]]


@dataclass(slots=True)
class PeerLink:
    """What both ends of a greeted link have: who it is, the seal, and what each end holds of the other's chain.

    ours: the newest entry of our chain that the peer holds. theirs: the newest of the peer's that we hold. Kept in
    memory for the link's life: so far as they are known here, entries need not spell out the hash before.
    """

    bearer: str
    session: Session
    hello: Hello
    ours: Place | None = None
    theirs: tuple[Place, bytes] | None = None
    _sent: dict[bytes, Place] = field(default_factory=dict)

    @property
    def peer(self) -> bytes:
        return self.session.peer

    def context(self, me: bytes, request_id: bytes | None, said: Sequence[bytes] = ()) -> Reading:
        """How to read this peer's items for one session. said: our newest words in it, see `Talk`."""
        return Reading(me, self.peer, self.hello.epoch, request_id, self._prev, said)

    def _prev(self, _: bytes, epoch: bytes, seq: int) -> bytes | None:
        there = (epoch[:EPOCH_HINT_BYTES], seq)
        return self.theirs[1] if self.theirs is not None and self.theirs[0] == there else None

    def pack(self, items: Sequence[Item]) -> bytes:
        """A frame for this peer, sealed. Raises LinkExhausted."""
        for entry in (item.signed for item in items if isinstance(item, EntryItem)):
            self._sent[entry.hash] = place_of(entry.entry)
        while len(self._sent) > SENT_KEPT:
            del self._sent[next(iter(self._sent))]
        return self.session.seal(pack(items, self.ours))

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


Serve = Callable[[AcceptedLink, RawItems], Awaitable[Sequence[Item]]]
"""Answers one frame: (link, raw items) to the items of the answer (none: an empty sealed answer)."""


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

    async def ask(self, items: Sequence[Item], *, timeout_ms: int = REQUEST_TIMEOUT_MS) -> RawItems:
        """Send one frame and return the items of its answer. Raises LinkLost, and FrameInvalid for an answer that can't
        be read or that says that our frame could not."""
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


def read_hello(items: RawItems, session: Session, me: bytes) -> tuple[Hello, RawItems]:
    """The greeting that opens a link, and what came with it. Raises FrameInvalid, or PeerError: no common version."""
    if not items:
        raise FrameInvalid("A link opens with a greeting.")
    item = read(items[0], Reading(me, session.peer, bytes(8), None, lambda node, epoch, seq: None))
    if not isinstance(item.message, Hello):
        raise FrameInvalid("A link opens with a greeting.")
    check_versions((PROTOCOL_VERSION,), item.message.versions)
    return item.message, items[1:]


def check_versions(ours: Sequence[int], theirs: Sequence[int], spoken: int = PROTOCOL_VERSION) -> None:
    """What the handshake's prologue named is the highest that both can speak: otherwise somebody between them chose for
    them. Raises PeerError `unsupported_version` or `downgrade`."""
    if spoken not in theirs:
        raise PeerError("The two sides speak no common version of the protocol.", code="unsupported_version")
    if max(set(ours) & set(theirs)) > spoken:
        raise PeerError("Both sides speak a higher version of the protocol than this link does.", code="downgrade")


def held_in(hello: Hello) -> Place | None:
    """The newest entry of our chain that the greeter holds, as it says."""
    return next(((head.epoch, head.seq) for head in hello.holds), None)


def _opened(greeting: Greeting, said: Sequence[Item]) -> bytes:
    return pack([Plain(greeting.hello), *said])


class Links:
    """All links of a node, both directions, over its bearers. `serving` opens the bearers."""

    def __init__(
        self,
        identity: Identity,
        transports: Mapping[str, Transport],
        clock: Clock,
        events: EventLog,
        *,
        greet: MakeGreeting,
        serve: Serve,
        known: Callable[[bytes], bool],
        visibility: Visibility,
    ) -> None:
        self._identity = identity
        self._transports = transports
        self._clock = clock
        self._events = events
        self._greet = greet
        self._serve = serve
        self._acceptor = Acceptor(identity.seed, visibility=visibility, known=known, entropy=identity.entropy)
        self._accepted: dict[int, AcceptedLink] = {}
        self._number = 0
        self._keepers: Sequence[Keeper] = ()

    @property
    def transports(self) -> Mapping[str, Transport]:
        return self._transports

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Open every bearer; all of them close with the context. Raises TransportError when all fail."""
        async with kept_open(self._transports.values(), lambda name: _Door(self, name), self._events) as self._keepers:
            yield

    @property
    def bearers(self) -> dict[str, Any]:
        """For people and programs, by name: see `Keeper.as_json`."""
        return {each.transport.name: each.as_json() for each in self._keepers}

    # dialling

    async def dial(
        self, bearer: str, address: str, remote: bytes | None, opening: Opening
    ) -> tuple[DialledLink, RawItems]:
        """Open a link and say `opening(peer)` with the greeting; the answer's items come back.

        remote: the peer's key when it is known (IK, one round trip), None for a stranger (XX, two).
        Raises Unreachable, or PeerError when the other side breaks the rules.
        """
        transport = self._transports.get(bearer)
        if transport is None:
            raise Unreachable(f"This node has no bearer {bearer!r:.20} switched on.", code="no_bearer")
        try:
            raw = await transport.dial(address)
        except TransportError as problem:
            raise Unreachable(f"{address} can't be reached over {bearer}: {problem}") from None
        try:
            traffic = Traffic()
            opened, greeting = await self._shake(raw, traffic, remote, opening)
            items = unpack(opened.payload)
            hello, rest = read_hello(items, opened.session, self._identity.public)
            link = DialledLink(bearer, opened.session, hello, held_in(hello), greeting.held, raw=raw, traffic=traffic)
            return link, rest
        except LinkLost as problem:
            await raw.aclose()
            raise Unreachable(f"{address} does not answer over {bearer}: {problem}") from None
        except TransportError as problem:
            await raw.aclose()
            raise PeerError(f"{address} broke the handshake: {problem}", code=problem.code) from None
        except BaseException:
            await raw.aclose()
            raise

    async def _shake(
        self,
        raw: Link,
        traffic: Traffic,
        remote: bytes | None,
        opening: Opening,
    ) -> tuple[Opened, Greeting]:
        dialer = Dialer(self._identity.seed, remote=remote, entropy=self._identity.entropy)
        if remote is not None:
            greeting = await self._greet(remote)
            frame = dialer.first(_opened(greeting, opening(remote)))
        else:
            named = dialer.receive(await traffic.request(raw, dialer.first(), REQUEST_TIMEOUT_MS))
            greeting = await self._greet(named.peer)
            frame = dialer.introduce(_opened(greeting, opening(named.peer)))
        answer = dialer.receive(await traffic.request(raw, frame, REQUEST_TIMEOUT_MS))
        if not isinstance(answer, Opened):
            raise PeerError("The handshake did not end.")
        return answer, greeting

    # accepting

    async def _answer(self, bearer: str, frame: bytes, source: str, pusher: Pusher | None) -> bytes | None:
        """What a bearer sends back. Nothing that a stranger says, and no fault of ours, passes on into the bearer."""
        outcome = self._acceptor.receive(frame, f"{bearer}:{source}", self._clock.link_ms())
        try:
            match outcome:
                case Send():
                    return outcome.frame
                case Accepted():
                    return await self._accept(bearer, outcome)
                case Received():
                    return await self._received(frame, outcome, pusher)
        except (NodeError, LocalTransportError) as problem:
            self._events.tell("answer_failed", bearer=bearer, code=problem.code, sentence=str(problem))
            return None
        return self._answered_before(frame) if pusher is None else None

    async def _accept(self, bearer: str, opened: Accepted) -> bytes | None:
        try:
            items = unpack(opened.payload)
            hello, rest = read_hello(items, opened.session, self._identity.public)
            self._number += 1
            link = AcceptedLink(bearer, opened.session, hello, ours=held_in(hello), number=self._number)
            answer = await self._serve(link, rest)
        except PeerError as problem:
            self._events.tell("link_refused", peer=short(opened.peer), code=problem.code, sentence=problem.sentence)
            self._acceptor.forget(opened.session)
            return None
        self._forget_lost()
        self._accepted[opened.session.local_id] = link
        greeting = await self._greet(opened.peer)
        link.theirs = greeting.held
        return opened.reply(_opened(greeting, answer))

    async def _received(self, frame: bytes, received: Received, pusher: Pusher | None) -> bytes | None:
        link = self._accepted.get(received.session.local_id)
        if link is None or link.session is not received.session:
            return None
        try:
            items = unpack(received.plaintext)
            if pusher is not None:
                link.end()
                link.pusher = pusher
            answer = link.pack(await self._serve(link, items))
        except PeerError as problem:
            self._events.tell("frame_refused", peer=short(link.peer), code=problem.code, sentence=problem.sentence)
            return received.session.seal(REFUSED)
        link.answers[hashlib.sha256(frame).digest()] = answer
        while len(link.answers) > ANSWERS_KEPT:
            link.answers.popitem(last=False)
        return answer

    def _answered_before(self, frame: bytes) -> bytes | None:
        digest = hashlib.sha256(frame).digest()
        for link in self._accepted.values():
            if (answer := link.answers.get(digest)) is not None:
                return answer
        return None

    def _forget_lost(self) -> None:
        """Drop links that gave way to others in the acceptor's bounded table."""
        for local_id, link in list(self._accepted.items()):
            if not self._acceptor.holds(link.session):
                link.end()
                del self._accepted[local_id]


class _Door:
    """The handler that one bearer gets."""

    def __init__(self, links: Links, bearer: str) -> None:
        self._links = links
        self._bearer = bearer

    async def answer(self, frame: bytes, source: str) -> bytes | None:
        return await self._links._answer(self._bearer, frame, source, None)

    async def subscribed(self, frame: bytes, source: str, pusher: Pusher) -> bytes | None:
        return await self._links._answer(self._bearer, frame, source, pusher)
