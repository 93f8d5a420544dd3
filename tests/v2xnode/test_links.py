"""Links between two nodes' doors: greeted, sealed, answered once, and deaf to everybody else."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from market.terms import Alive, Hello, Message, PowerState, Resume, Status, Subscribe
from transports.errors import LinkLost
from transports.interface import Transport
from transports.memory import MemoryNetwork, MemoryTransport
from transports.secure import Dialer, Visibility
from v2xnode.clock import real_clock
from v2xnode.config import ElectricalSection
from v2xnode.envelope import FrameInvalid, Item, Plain, Reading, pack, read
from v2xnode.errors import LocalError, PeerError, Unreachable
from v2xnode.events import EventLog
from v2xnode.identity import Identity
from v2xnode.links import ANSWERS_KEPT, AcceptedLink, DialledLink, Greeting, Links, RawItems

CLOCK = real_clock()
ELECTRICAL = ElectricalSection(profiles=["DC_CONVERTER"]).record()
OPENING = Plain(Resume(bytes(16)))
SILENCE_MS = 200


@dataclass(slots=True)
class Door:
    """One node's links, and what it was asked."""

    identity: Identity
    transport: MemoryTransport
    events: EventLog
    versions: tuple[int, ...] = (1,)
    answer: Callable[[AcceptedLink, RawItems], Sequence[Item]] = lambda link, items: ()
    asked: list[Message] = field(default_factory=list)
    links: Links = field(init=False)
    accepted: list[AcceptedLink] = field(default_factory=list)

    async def greet(self, peer: bytes | None) -> Greeting:
        return Greeting(Hello(versions=self.versions, electrical=ELECTRICAL, epoch=self.identity.public[:8]))

    async def serve(self, link: AcceptedLink, items: RawItems) -> Sequence[Item]:
        context = Reading(self.identity.public, link.peer, link.hello.epoch, bytes(16), lambda *_: None)
        self.asked += [read(raw, context).message for raw in items]
        self.accepted.append(link)
        return self.answer(link, items)


def door(
    network: MemoryNetwork, name: str, seed: int, visibility: Visibility = Visibility.OPEN, known: Sequence[bytes] = ()
) -> Door:
    transport = network.transport(name)
    made = Door(Identity.from_seed(bytes([seed]) * 32), transport, EventLog(CLOCK))
    transports: Mapping[str, Transport] = {"memory": transport}
    made.links = Links(
        made.identity,
        transports,
        CLOCK,
        made.events,
        greet=made.greet,
        serve=made.serve,
        known=lambda key: key in known,
        visibility=visibility,
    )
    return made


@asynccontextmanager
async def two(visibility: Visibility = Visibility.OPEN, known: bool = False) -> AsyncIterator[tuple[Door, Door]]:
    network = MemoryNetwork(3)
    dialer = door(network, "dialer", 1)
    acceptor = door(network, "acceptor", 2, visibility, [dialer.identity.public] if known else [])
    async with dialer.links.serving(), acceptor.links.serving():
        yield dialer, acceptor


async def dial(dialer: Door, acceptor: Door, *, by_key: bool) -> DialledLink:
    key = acceptor.identity.public if by_key else None
    link, said = await dialer.links.dial("memory", "acceptor", key, lambda peer: [OPENING])
    assert said == []
    return link


@pytest.mark.parametrize(("by_key", "trips"), [(True, 1), (False, 2)])
async def test_both_sides_know_each_other_after_the_handshake(by_key: bool, trips: int) -> None:
    async with two() as (dialer, acceptor):
        link = await dial(dialer, acceptor, by_key=by_key)
        assert link.peer == acceptor.identity.public
        assert link.hello.epoch == acceptor.identity.public[:8]
        assert acceptor.asked == [OPENING.message]
        assert acceptor.accepted[0].peer == dialer.identity.public
        assert (link.traffic.round_trips, link.traffic.frame_bytes > 0) == (trips, True)
        assert not acceptor.accepted[0].session.established
        await link.ask([Plain(Alive(1, 2))])
        assert acceptor.accepted[0].session.established


async def test_a_question_repeated_by_the_bearer_is_answered_once_and_with_the_same_bytes() -> None:
    async with two() as (dialer, acceptor):
        link = await dial(dialer, acceptor, by_key=True)
        frame = link.session.seal(pack([Plain(Alive(1, 2))]))
        answers = {await link.raw.request(frame, timeout_ms=2_000) for _ in range(3)}
        assert len(answers) == 1
        assert acceptor.asked == [OPENING.message, Alive(1, 2)]
        for number in range(ANSWERS_KEPT):
            await link.ask([Plain(Alive(number, 0))])
        with pytest.raises(LinkLost):  # too old to be a repetition
            await link.raw.request(frame, timeout_ms=SILENCE_MS)


async def test_a_peer_that_refuses_the_frame_has_not_answered_it() -> None:
    async with two() as (dialer, acceptor):
        link = await dial(dialer, acceptor, by_key=True)

        def refuse(accepted: AcceptedLink, items: RawItems) -> Sequence[Item]:
            raise FrameInvalid("no")

        acceptor.answer = refuse
        with pytest.raises(FrameInvalid):
            await link.ask([Plain(Alive(1, 2))])
        assert [event.data["code"] for event in acceptor.events.since(0, "frame_refused")] == ["malformed"]


async def test_a_fault_of_our_own_is_told_to_the_owner_and_met_with_silence() -> None:
    async with two() as (dialer, acceptor):
        link = await dial(dialer, acceptor, by_key=True)

        def fail(accepted: AcceptedLink, items: RawItems) -> Sequence[Item]:
            raise LocalError("the disk is full", code="store")

        acceptor.answer = fail
        with pytest.raises(LinkLost):
            await link.ask([Plain(Alive(1, 2))], timeout_ms=SILENCE_MS)
        assert {event.data["code"] for event in acceptor.events.since(0, "answer_failed")} == {"store"}
        acceptor.answer = lambda accepted, items: ()
        assert await link.ask([Plain(Alive(2, 2))]) == []


async def test_pushes_go_to_who_subscribed_until_the_link_ends() -> None:
    async with two() as (dialer, acceptor):
        link = await dial(dialer, acceptor, by_key=True)
        state = Plain(Status(1, 0, 0, PowerState.OFF))
        assert not acceptor.accepted[0].push([state], confirmed=True)
        async with link.pushes() as pushes:
            assert await anext(pushes) == []
            assert acceptor.asked[-1] == Subscribe()
            accepted = acceptor.accepted[-1]
            assert accepted.push([state], confirmed=True)
            [raw] = await anext(pushes)
            assert read(raw, link.context(dialer.identity.public, None)).message == state.message
            accepted.end()
            with pytest.raises(StopAsyncIteration):
                await anext(pushes)
        assert not accepted.push([state], confirmed=True)


async def test_a_replayed_subscription_opens_none() -> None:
    async with two() as (dialer, acceptor):
        link = await dial(dialer, acceptor, by_key=True)
        frame = link.session.seal(pack([Plain(Subscribe())]))
        async with link.raw.subscribe(frame, timeout_ms=2_000):
            pusher = acceptor.accepted[-1].pusher
            with pytest.raises(LinkLost):
                async with link.raw.subscribe(frame, timeout_ms=SILENCE_MS):
                    pass
            assert acceptor.accepted[-1].pusher is pusher


async def test_who_is_not_known_meets_silence_and_who_is_does_not() -> None:
    async with two(Visibility.KNOWN, known=True) as (dialer, acceptor):
        assert (await dial(dialer, acceptor, by_key=True)).peer == acceptor.identity.public
    async with two(Visibility.KNOWN) as (dialer, acceptor):
        raw = await dialer.transport.dial("acceptor")
        with pytest.raises(LinkLost):
            await raw.request(b"\x01" + bytes(64), timeout_ms=SILENCE_MS)
        assert acceptor.asked == []


async def test_another_version_of_the_protocol_is_refused_by_name() -> None:
    async with two() as (dialer, acceptor):
        acceptor.versions = (9,)
        with pytest.raises(PeerError) as refused:
            await dial(dialer, acceptor, by_key=True)
        assert refused.value.code == "unsupported_version"


async def test_another_key_than_the_one_dialled_never_answers_for_it() -> None:
    async with two() as (dialer, acceptor):
        before = len(acceptor.asked)
        async with asyncio.timeout(10):
            raw = await dialer.transport.dial("acceptor")
            frame = Dialer(dialer.identity.seed, remote=Identity.from_seed(b"\x05" * 32).public).first(b"")
            with pytest.raises(LinkLost):
                await raw.request(frame, timeout_ms=SILENCE_MS)
        assert len(acceptor.asked) == before


async def test_a_bearer_that_is_not_switched_on_is_named() -> None:
    async with two() as (dialer, _):
        with pytest.raises(Unreachable) as refused:
            await dialer.links.dial("radio", "anywhere", None, lambda peer: [OPENING])
        assert refused.value.code == "no_bearer"
        with pytest.raises(Unreachable):
            await dialer.links.dial("memory", "dialer", None, lambda peer: [OPENING])
