"""Links between two nodes' doors: greeted, sealed, answered once, and deaf to everybody else."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from market.terms import EPOCH_HINT_BYTES, Accept, Alive, Head, Hello, PowerState, Resume, Status, Subscribe
from tests.support.doors import ELECTRICAL, Door, door, identity
from tests.support.node_books import REQUEST_ID, Party, table
from transports.errors import LinkLost
from transports.memory import MemoryNetwork
from transports.secure import Dialer, Visibility
from v2xnode.envelope import FrameInvalid, Item, Plain, Talk, is_entry, pack, place_of, read, unpack
from v2xnode.envelope import Link as Entry
from v2xnode.errors import LocalError, PeerError, Unreachable
from v2xnode.identity import Identity
from v2xnode.links import (
    ANSWERS_KEPT,
    AcceptedLink,
    DialledLink,
    PeerLink,
    RawItems,
    check_versions,
    held_in,
)

OPENING = Plain(Resume(bytes(16)))
SILENCE_MS = 200


@asynccontextmanager
async def two(visibility: Visibility = Visibility.OPEN, known: bool = False) -> AsyncIterator[tuple[Door, Door]]:
    network = MemoryNetwork(3)
    dialer = door(network, "dialer", identity(1))
    acceptor = door(network, "acceptor", identity(2), visibility, [dialer.identity.public] if known else [])
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
        assert not acceptor.accepted[0].is_subscribed
        async with link.pushes() as pushes:
            assert await anext(pushes) == []
            assert acceptor.asked[-1] == Subscribe()
            accepted = acceptor.accepted[-1]
            assert accepted.is_subscribed
            accepted.push([state], confirmed=True)
            [raw] = await anext(pushes)
            assert read(raw, link.context(dialer.identity.public, None)).message == state.message
            accepted.end()
            with pytest.raises(StopAsyncIteration):
                await anext(pushes)
        assert not accepted.is_subscribed
        accepted.push([state], confirmed=True)


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


# what each end holds of the other's chain

PREV = 2
"""Field of an entry on the wire."""


@dataclass
class End:
    """One end of a link between two parties with books, where what is said arrives at once."""

    party: Party
    link: PeerLink
    talk: Talk

    def hears(self, said: Entry, other: "End") -> bool:
        """Hold what the other end says for the first time; whether it left out the entry before."""
        [raw] = unpack(self.link.session.open(other.link.pack([other.talk.say(said)])))
        assert is_entry(raw)
        item = read(raw, self.link.context(self.party.key, REQUEST_ID, self.talk.said))
        assert item == said
        assert isinstance(item, Entry)
        self.link.received(item.signed)
        self.talk.hear(item)
        return bool(raw[PREV] == b"")


async def test_an_entry_names_the_one_before_until_that_is_answered() -> None:
    async with two() as (dialer, acceptor), table() as world:
        link = await dial(dialer, acceptor, by_key=True)
        accepted = acceptor.accepted[0]
        confirm = await world.agree()
        epochs = {}
        for each in (world.provider, world.client):
            head = await each.books.run(lambda view: view.head())
            assert head is not None
            epochs[each.key] = head.entry.epoch
        link.hello = replace(link.hello, epoch=epochs[world.client.key])
        accepted.hello = replace(accepted.hello, epoch=epochs[world.provider.key])
        link.epoch, accepted.epoch = epochs[world.provider.key], epochs[world.client.key]
        provider, client = End(world.provider, link, Talk()), End(world.client, accepted, Talk())
        first = await world.interval(0, confirm.digest)
        assert not client.hears(first, provider), "the client may not hold the Confirm"
        receipt = await world.receipt(0, first, [])
        assert not provider.hears(receipt, client), "nor the provider the Accept"
        second = await world.interval(1, receipt.digest)
        assert client.hears(second, provider), "the Receipt has answered the Interval before"
        third = await world.interval(2, receipt.digest)
        assert not client.hears(third, provider), "nothing has answered the second"
        assert provider.hears(await world.receipt(1, third, []), client)
        assert provider.link.ours == place_of(third.signed.entry)


async def test_an_older_answer_takes_nothing_back() -> None:
    async with two() as (dialer, acceptor), table() as world:
        link = await dial(dialer, acceptor, by_key=True)
        confirm = await world.agree()
        first, second = [await world.interval(number, confirm.digest) for number in range(2)]
        link.pack([first, second])
        link.received((await world.receipt(1, second, [])).signed)
        link.received((await world.receipt(0, first, [])).signed)
        assert link.ours == place_of(second.signed.entry)


async def test_what_was_not_said_on_this_link_is_not_answered_here() -> None:
    async with two() as (dialer, acceptor), table() as world:
        link = await dial(dialer, acceptor, by_key=True)
        accept = await world.by(world.client, Accept(world.provider.key, 0, "EUR"), world.letters[1].digest)
        link.received(accept.signed)
        assert link.ours is None
        assert link.theirs == (place_of(accept.signed.entry), accept.digest)


@pytest.mark.parametrize("seq", [0, 2**62])
def test_what_a_peer_says_that_it_holds_is_taken_as_it_says(seq: int) -> None:
    held = Head(b"\x0e" * EPOCH_HINT_BYTES, seq)
    assert held_in(Hello(electrical=ELECTRICAL, epoch=bytes(8), holds=(held,))) == (held.epoch, seq)
    assert held_in(Hello(electrical=ELECTRICAL, epoch=bytes(8))) is None


@pytest.mark.parametrize(
    ("theirs", "code"), [((1,), ""), ((1, 2), "downgrade"), ((1, 3), ""), ((2,), "unsupported_version")], ids=str
)
def test_a_link_below_what_both_can_speak_is_ended(theirs: tuple[int, ...], code: str) -> None:
    if not code:
        check_versions((1, 2), theirs, spoken=1)
        return
    with pytest.raises(PeerError) as refused:
        check_versions((1, 2), theirs, spoken=1)
    assert refused.value.code == code
