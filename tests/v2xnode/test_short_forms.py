"""What frames leave out, between whole nodes: a frame of a set-up lost in turn, and peers that claim to hold more."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from ledger.store.view import StoredEntry
from market.terms import EPOCH_HINT_BYTES, Accept, Confirm, Head
from tests.support.node_pair import Town, agree, node_of, prepare, propose, stranger, town, wish
from tests.support.tapped import Tapped
from transports.errors import LinkLost
from v2xnode.cli.ledger import reading
from v2xnode.envelope import FrameInvalid, in_full, is_entry
from v2xnode.envelope import Link as Entry
from v2xnode.links import Greeting

CAR_A, CAR_B = "car_a", "car_b"
PREV, ANSWERS = 2, 3
"""Fields of an entry on the wire."""


@dataclass
class Losing:
    """Loses one frame: the question or the answer of the exchange of this number."""

    exchange: int
    answered: bool
    lost: int = 0
    asked: int = 0

    async def __call__(self, ask: Callable[[], Awaitable[bytes]]) -> bytes:
        number, self.asked = self.asked, self.asked + 1
        if number != self.exchange:
            return await ask()
        self.lost += 1
        if self.answered:
            await ask()
        raise LinkLost("this one is lost")


ACCEPT, AFTER_START = 1, 2
"""Numbers of the client's exchanges, where the first greets and asks."""


@pytest.mark.parametrize(
    ("exchange", "answered"),
    [(ACCEPT, False), (ACCEPT, True), (AFTER_START, True)],
    ids=["accept", "confirm", "answer after start"],
)
async def test_a_frame_that_is_lost_once_costs_a_repetition_and_nothing_else(exchange: int, answered: bool) -> None:
    async with town(CAR_A) as world:
        prepare(world, CAR_B)
        loses = Losing(exchange, answered)
        world.bearers[CAR_B] = Tapped(world.network.transport(CAR_B), loses)
        await world.plug()
        async with node_of(world, CAR_B) as client:
            done = await client.request(wish(20), address=f"memory:{CAR_A}", peer=world.key(CAR_A).hex())
        assert loses.lost == 1
        provider, client_trade = world.trade(CAR_A, done["request_id"]), world.trade(CAR_B, done["request_id"])
        agree(provider, client_trade)
        for each in (provider, client_trade):
            assert (len(each.of(Accept)), len(each.of(Confirm))) == (1, 1)
        world.check(CAR_A, CAR_B)


async def test_who_claims_to_hold_more_than_it_does_misses_the_short_form_only() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        head = head_of(world, CAR_A)
        honest = (await who.links._greet(None)).hello
        boast = replace(honest, holds=(Head(head.entry.epoch[:EPOCH_HINT_BYTES], head.entry.seq),))

        async def greet(peer: bytes | None) -> Greeting:
            return Greeting(boast)

        who.links._greet = greet
        deal = await propose(world, who, CAR_A, wish(60))
        deal.talk.hear(deal.answer)
        accept = await deal.accept()
        [short] = [raw for raw in await deal.link.ask([deal.talk.say(accept)]) if is_entry(raw)]
        assert (short[PREV], short[ANSWERS]) == (b"", True)
        with pytest.raises(FrameInvalid):
            deal.read(short)
        [full] = [item for item in await deal.ask(in_full(accept)) if isinstance(item.message, Confirm)]
        assert isinstance(full, Entry)
        assert (full.signed.entry.prev, full.signed.entry.answers) == (head.hash, accept.digest)
        assert len(world.trades(CAR_A)[0].of(Confirm)) == 1


def head_of(world: Town, place: str) -> StoredEntry:
    """The newest entry of a node's own chain."""
    with reading(world.data(place)) as reader:
        head = reader.head()
    assert head is not None
    return head


async def test_a_short_form_that_can_not_be_put_back_is_refused_and_changes_nothing() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(60))
        accept = await deal.accept()
        before = world.contents(CAR_A)
        made = accept.signed.entry
        deal.link.ours = (made.epoch[:EPOCH_HINT_BYTES], made.seq - 1)  # which the provider was never shown
        deal.talk.hear(deal.answer)
        with pytest.raises(FrameInvalid):
            await deal.link.ask([deal.talk.say(accept)])
        assert world.contents(CAR_A) == before
        assert [type(item.message) for item in await deal.ask(in_full(accept))] == [Confirm]
