"""All links of one node: dialled and accepted, over every bearer it has."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from transports.errors import LinkLost, LocalTransportError, TransportError
from transports.interface import Link, Pusher, Transport
from transports.secure import Accepted, Acceptor, Dialer, Opened, Received, Send, Visibility
from v2xnode.clock import Clock
from v2xnode.envelope import REFUSED, Item, unpack
from v2xnode.errors import NodeError, PeerError, Unreachable
from v2xnode.events import EventLog
from v2xnode.identity import Identity, short
from v2xnode.keeping import Keeper, kept_open
from v2xnode.links.ends import REQUEST_TIMEOUT_MS, AcceptedLink, DialledLink, Traffic
from v2xnode.links.greeting import Greeting, MakeGreeting, RawItems, held_in, opening_frame, read_hello
from v2xnode.links.recalling import Chains, Meeting, NoChains, ask_all, held_for, is_recall

ANSWERS_KEPT = 8
"""Newest answers of a link, given again when the bearer repeats a question whose answer got lost."""

MAX_MEETINGS = 2
"""Peers that may be showing us something at once: some 12 MB each, at most."""

Opening = Callable[[bytes], Sequence[Item]]
"""What to say to a peer with the greeting, once its key is known."""
Serve = Callable[[AcceptedLink, RawItems], Awaitable[Sequence[Item]]]
"""Answers one frame: (link, raw items) to the items of the answer (none: an empty sealed answer)."""


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
        chains: Chains | None = None,
    ) -> None:
        self._identity = identity
        self._transports = transports
        self._clock = clock
        self._events = events
        self._greet = greet
        self._serve = serve
        self._chains = chains or NoChains()
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
            epoch = greeting.hello.epoch
            meeting = await Meeting.begin(self._chains, opened.session.peer, hello, held_in(hello))
            if meeting.peer != (remote or meeting.peer):
                raise PeerError("Another node answers there.", code="other_peer")
            link = DialledLink(
                bearer,
                opened.session,
                hello,
                meeting,
                epoch,
                held_in(hello),
                greeting.held,
                raw=raw,
                traffic=traffic,
                chains=self._chains,
            )
            said_to = opened.session.peer if remote is None else remote
            return link, await self._met(link, rest, opening, said_to)
        except LinkLost as problem:
            await raw.aclose()
            raise Unreachable(f"{address} does not answer over {bearer}: {problem}") from None
        except TransportError as problem:
            await raw.aclose()
            raise PeerError(f"{address} broke the handshake: {problem}", code=problem.code) from None
        except BaseException:
            await raw.aclose()
            raise

    async def _met(self, link: DialledLink, rest: RawItems, opening: Opening, said_to: bytes) -> RawItems:
        """What the peer answers to our opening, once each end has seen what it has to see of the other.

        Who could not hear it then, or has another name than that to which it was said, is told it again.
        """
        was_asked = is_recall(rest)
        if was_asked:
            await link.show(rest)
        if link.meeting.question:
            self._events.tell("recalls", peer=short(link.peer))
            await ask_all(link.meeting, link.ask)
        if was_asked or (link.peer != said_to and not rest):
            return await link.ask(opening(link.peer))
        return rest

    async def _shake(
        self,
        raw: Link,
        traffic: Traffic,
        remote: bytes | None,
        opening: Opening,
    ) -> tuple[Opened, Greeting]:
        key = None if remote is None else await self._chains.key_of(remote)
        dialer = Dialer(self._identity.seed, remote=key, entropy=self._identity.entropy)
        if remote is not None:
            greeting = await self._greet(remote)
            frame = dialer.first(opening_frame(greeting, opening(remote)))
        else:
            named = dialer.receive(await traffic.request(raw, dialer.first(), REQUEST_TIMEOUT_MS))
            greeting = await self._greet(named.peer)
            frame = dialer.introduce(opening_frame(greeting, opening(named.peer)))
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
            meeting = await Meeting.begin(self._chains, opened.session.peer, hello, held_in(hello))
            self._number += 1
            link = AcceptedLink(bearer, opened.session, hello, meeting, ours=held_in(hello), number=self._number)
            answer = await self._open(link, rest)
        except PeerError as problem:
            self._events.tell("link_refused", peer=short(opened.peer), code=problem.code, sentence=problem.sentence)
            self._acceptor.forget(opened.session)
            return None
        self._forget_lost()
        if meeting.question:
            self._make_room_to_meet()
        self._accepted[opened.session.local_id] = link
        greeting = await self._greet(link.peer)
        link.epoch, link.theirs = greeting.hello.epoch, greeting.held
        return opened.reply(opening_frame(greeting, [*meeting.question, *answer]))

    async def _open(self, link: AcceptedLink, rest: RawItems) -> Sequence[Item]:
        """The answer to what came with a greeting. Nothing to who has to show something first: then it asks again; nor
        to a stranger who can't know yet by which name to call us."""
        if link.meeting.question:
            return ()
        try:
            return await self._serve(link, rest)
        except PeerError:
            if not self._identity.is_rotated:
                raise
            return ()

    async def _received(self, frame: bytes, received: Received, pusher: Pusher | None) -> bytes | None:
        link = self._accepted.get(received.session.local_id)
        if link is None or link.session is not received.session:
            return None
        try:
            items = unpack(received.plaintext)
            if pusher is not None:
                link.end()
                link.pusher = pusher
            answer = link.pack(await self._said(link, items))
        except PeerError as problem:
            self._events.tell("frame_refused", peer=short(link.peer), code=problem.code, sentence=problem.sentence)
            return received.session.seal(REFUSED)
        link.answers[hashlib.sha256(frame).digest()] = answer
        while len(link.answers) > ANSWERS_KEPT:
            link.answers.popitem(last=False)
        return answer

    async def _said(self, link: AcceptedLink, items: RawItems) -> Sequence[Item]:
        """The answer to a frame of a peer, who first shows what it has to."""
        if is_recall(items):
            return await held_for(self._chains, link.peer, items)
        if not link.meeting.question:
            return await self._serve(link, items)
        await link.meeting.hear(items)
        return link.meeting.question

    def _answered_before(self, frame: bytes) -> bytes | None:
        digest = hashlib.sha256(frame).digest()
        for link in self._accepted.values():
            if (answer := link.answers.get(digest)) is not None:
                return answer
        return None

    def _make_room_to_meet(self) -> None:
        """What is shown waits in memory until it is whole: of few peers at once. Whoever may be a replay goes first,
        then the oldest."""
        meeting = [link for link in self._accepted.values() if link.meeting.question]
        meeting.sort(key=lambda link: link.session.established)
        for link in meeting[: max(0, len(meeting) - MAX_MEETINGS + 1)]:
            del self._accepted[link.session.local_id]
            link.end()
            self._acceptor.forget(link.session)
            self._events.tell("link_refused", peer=short(link.peer), code="busy", sentence="Others show more by now.")

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
