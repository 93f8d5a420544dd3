"""What one end of a link has to show before anything else that it says counts."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from ledger.keys.key_history import KeyHistory
from ledger.signing import Signer
from market.terms import Alive, Head, Hello, Recall, Recalled, Resume, Shown
from tests.support.doors import Door, door, identity
from transports.memory import MemoryNetwork
from transports.secure import Dialer
from v2xnode.envelope import Item, Place, Plain, pack
from v2xnode.errors import PeerError
from v2xnode.identity import Identity
from v2xnode.links import DialledLink, RawItems, recalling
from v2xnode.links.recalling import MAX_SHOWN, Introduced
from v2xnode.links.switchboard import MAX_MEETINGS

OPENING = Plain(Resume(bytes(16)))
HINT = b"\x0e" * 4
LOST = Recall(HINT, 101)
A, B = identity(1), identity(2)
ROTATED = replace(A, seed=bytes(range(32)), signer=Signer(bytes(range(32))))
"""The same node as A, with another key."""


@dataclass(slots=True)
class Memory:
    """One node's: what it lacks, what it holds of the other's chain, what it was shown."""

    lacks: Recall | None = None
    holds: Sequence[Shown] = ()
    names: dict[bytes, bytes] = field(default_factory=dict)
    adopted: list[Shown] = field(default_factory=list)
    claims: list[bytes] = field(default_factory=list)

    async def key_of(self, node: bytes) -> bytes:
        return next((key for key, named in self.names.items() if named == node), node)

    async def introduced(self, key: bytes, hello: Hello) -> Introduced:
        node = hello.node or key
        is_known = node == key or self.names.get(key) == node
        return Introduced(KeyHistory(node), None if is_known else Recall(bytes(4), 0, keys=True))

    async def learn(self, node: bytes, key: bytes, shown: Sequence[Shown]) -> KeyHistory:
        if [each.payload for each in shown] != [key]:
            raise PeerError("not the keys of this link", code="foreign")
        self.names[key] = node
        return KeyHistory(node)

    async def missing(self, place: Place) -> Recall | None:
        return self.lacks

    async def claimed(self, peer: bytes) -> None:
        self.claims.append(peer)

    async def held(self, peer: bytes, recall: Recall) -> Sequence[Plain]:
        shown = self.holds[recall.after : recall.after + 2]
        is_all = recall.after + 2 >= len(self.holds)
        return [Plain(Recalled(0 if is_all else recall.after + 2)), *(Plain(each) for each in shown)]

    async def adopt(self, peer: bytes, shown: Sequence[Shown]) -> None:
        if not shown:
            raise PeerError("nothing was shown", code="foreign")
        self.adopted += shown
        self.lacks = None


def things(number: int) -> list[Shown]:
    return [Shown(bytes([each]) * 8, bytes(64)) for each in range(1, number + 1)]


@dataclass(slots=True)
class Ends:
    """Two doors with their memories."""

    dialer: Door
    acceptor: Door
    dialers: Memory
    acceptors: Memory

    async def dial(self, *, by_key: bool) -> tuple[DialledLink, RawItems]:
        key = self.acceptor.node if by_key else None
        return await self.dialer.links.dial("memory", "acceptor", key, lambda peer: [OPENING])


@asynccontextmanager
async def ends(
    dialers: Memory | None = None, acceptors: Memory | None = None, dialer: Identity = A, acceptor: Identity = B
) -> AsyncIterator[Ends]:
    network = MemoryNetwork(3)
    one, other = dialers or Memory(), acceptors or Memory()
    made = Ends(
        door(network, "dialer", dialer, chains=one), door(network, "acceptor", acceptor, chains=other), one, other
    )
    for each in (made.dialer, made.acceptor):
        each.holds = (Head(HINT, 130),)
    async with made.dialer.links.serving(), made.acceptor.links.serving():
        yield made


KEYED = pytest.mark.parametrize("by_key", [True, False])


@KEYED
@pytest.mark.parametrize("number", [1, 2, 5])
async def test_a_dialer_that_lost_entries_is_shown_them_before_it_goes_on(by_key: bool, number: int) -> None:
    async with ends(Memory(lacks=LOST), Memory(holds=things(number))) as met:
        await met.dial(by_key=by_key)
        assert met.dialers.adopted == things(number)
        assert met.dialers.claims
        assert met.acceptor.asked == [OPENING.message]


@KEYED
@pytest.mark.parametrize("number", [1, 2, 5])
async def test_an_acceptor_that_lost_entries_answers_once_it_was_shown_them(by_key: bool, number: int) -> None:
    async with ends(Memory(holds=things(number)), Memory(lacks=LOST)) as met:
        link, _ = await met.dial(by_key=by_key)
        assert met.acceptors.adopted == things(number)
        assert met.acceptor.asked == [OPENING.message], "asked again, once it has its own back"
        await link.ask([Plain(Alive(1, 2))])
        assert met.acceptor.asked[-1] == Alive(1, 2)


@KEYED
async def test_both_may_have_lost_entries(by_key: bool) -> None:
    async with ends(Memory(lacks=LOST, holds=things(3)), Memory(lacks=LOST, holds=things(2))) as met:
        await met.dial(by_key=by_key)
        assert (met.dialers.adopted, met.acceptors.adopted) == (things(2), things(3))


async def test_a_dialer_leaves_who_claims_and_does_not_show() -> None:
    async with ends(Memory(lacks=LOST), Memory()) as met:
        with pytest.raises(PeerError):
            await met.dial(by_key=True)
        assert met.dialers.adopted == []


async def test_an_acceptor_hears_nothing_of_who_claims_and_does_not_show() -> None:
    async with ends(Memory(), Memory(lacks=LOST)) as met:
        with pytest.raises(PeerError):
            await met.dial(by_key=True)
        assert met.acceptor.asked == []


async def test_nothing_durable_follows_from_a_first_message_that_may_be_a_replay() -> None:
    async with ends(Memory(holds=things(1)), Memory(lacks=LOST)) as met:
        dialer = Dialer(A.seed, remote=B.public, entropy=A.entropy)
        greeting = await met.dialer.greet(None)
        raw = await met.dialer.transport.dial("acceptor")
        await raw.request(dialer.first(pack([Plain(greeting.hello), OPENING])), timeout_ms=2_000)
        assert met.acceptors.claims == []


@KEYED
async def test_a_dialer_with_a_new_key_shows_how_it_came_to_it(by_key: bool) -> None:
    keys = [Shown(ROTATED.signer.public, bytes(64))]
    async with ends(Memory(holds=keys), dialer=ROTATED) as met:
        link, _ = await met.dial(by_key=by_key)
        assert met.acceptor.accepted[0].peer == A.public
        assert met.acceptor.asked == [OPENING.message]
        again, _ = await met.dial(by_key=by_key)
        assert again.traffic.round_trips < link.traffic.round_trips, "the second time it is known"


async def test_an_acceptor_with_a_new_key_is_called_by_its_name_by_strangers() -> None:
    keys = [Shown(ROTATED.signer.public, bytes(64))]
    async with ends(acceptors=Memory(holds=keys), acceptor=ROTATED) as met:
        named: list[bytes] = []

        def opening(peer: bytes) -> Sequence[Item]:
            named.append(peer)
            return [OPENING]

        link, _ = await met.dialer.links.dial("memory", "acceptor", None, opening)
        assert link.peer == A.public
        assert named == [ROTATED.signer.public, A.public]
        known, _ = await met.dialer.links.dial("memory", "acceptor", A.public, lambda peer: [OPENING])
        assert known.peer == A.public
        assert known.traffic.round_trips == 1


async def test_keys_that_do_not_lead_to_the_links_are_not_believed() -> None:
    async with ends(Memory(holds=things(1)), dialer=ROTATED) as met:
        with pytest.raises(PeerError):
            await met.dial(by_key=True)
        assert met.acceptor.asked == []


@dataclass(slots=True)
class Endless(Memory):
    """Shows one thing at a time and never says that it was all; or asks for it."""

    asked: int = 0

    async def held(self, peer: bytes, recall: Recall) -> Sequence[Plain]:
        self.asked += 1
        await asyncio.sleep(0)
        return [Plain(Recalled(recall.after + 1)), Plain(things(1)[0])]


async def test_a_peer_that_shows_without_an_end_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty thousand answers, each as late as may be, would be two days."""
    monkeypatch.setattr(recalling, "MEETING_S", 0.1)
    async with ends(Memory(lacks=LOST), endless := Endless()) as met:
        with pytest.raises(PeerError):
            await met.dial(by_key=True)
        assert 0 < endless.asked < MAX_SHOWN // 4


async def test_a_peer_that_asks_without_an_end_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recalling, "MEETING_S", 0.1)
    async with ends(endless := Endless(), Memory(lacks=LOST)) as met:
        with pytest.raises(PeerError):
            await met.dial(by_key=True)
        assert 0 < endless.asked < MAX_SHOWN // 4


async def test_so_many_show_at_once_and_the_newest_are_heard() -> None:
    network = MemoryNetwork(3)
    acceptor = door(network, "acceptor", B, chains=Memory(lacks=LOST))
    dialers = [door(network, f"dialer{number}", identity(10 + number)) for number in range(MAX_MEETINGS + 2)]
    async with AsyncExitStack() as stack:
        for each in (acceptor, *dialers):
            each.holds = (Head(HINT, 130),)
            await stack.enter_async_context(each.links.serving())
        for dialer in dialers:
            greeting = await dialer.greet(None)
            shaking = Dialer(dialer.identity.seed, remote=B.public, entropy=dialer.identity.entropy)
            raw = await dialer.transport.dial("acceptor")
            await raw.request(shaking.first(pack([Plain(greeting.hello), OPENING])), timeout_ms=2_000)
        assert len(acceptor.links._accepted) == MAX_MEETINGS
        assert [each.peer for each in acceptor.links._accepted.values()] == [
            each.node for each in dialers[-MAX_MEETINGS:]
        ]
