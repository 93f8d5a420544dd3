"""A client's need: the cheapest offer is confirmed, the next-best after a refusal, or the refusal that helps most."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from ledger.entry import EntryType
from market.errors import TermsInvalid
from market.terms import MessageType, to_map
from market.units import Role, Service
from tests.support.node_shop import Shop, seen, shop, stop_selling
from tests.support.tapped import Tapped
from transports.errors import LinkLost
from transports.memory import MemoryNetwork
from v2xnode.envelope import FrameInvalid, is_entry
from v2xnode.errors import RefusedByLimit, Unreachable
from v2xnode.links import Links, RawItems
from v2xnode.trading.asking import MAX_ASKED, Wish
from v2xnode.trading.need import Agreement, Need
from v2xnode.trading.whereabouts import Place

WISH = Wish(Service.V2V, 5_000, 1_000, 11_000, 600_000, 7_200_000)
CHEAP, DEAR = {"price_micro_per_kwh": 200_000}, {"price_micro_per_kwh": 400_000}
ANSWERS, SIGNATURE = 3, 5
"""Fields of an entry on the wire."""
LOW = {"reserve_permille": 650}
"""Leaves less than 1,000 Wh of what is stored."""


@dataclass(slots=True)
class Street:
    """Providers in a row, and a client who has heard all of them."""

    shops: list[Shop]
    client: Shop
    links: Links

    def need(self, wish: Wish = WISH, **more: Any) -> Need:
        return self.client.need(wish, self.links, **more)

    async def agree(self, need: Need | None = None) -> Agreement:
        heard = [seen(str(place)) for place in range(len(self.shops))]
        agreed = await (need or self.need()).agree(heard)
        await agreed.asked.link.aclose()
        return agreed

    async def written(self, side: Shop) -> list[EntryType]:
        """Types of all entries of trades in a side's ledger."""
        page = await side.books.run(lambda view: list(view.page(after=0)))
        return [each.type for each in page if each.type.of_trade]


@asynccontextmanager
async def street(*owners: Mapping[str, Any]) -> AsyncIterator[Street]:
    """A provider for each of these limits."""
    network = MemoryNetwork(3)
    async with AsyncExitStack() as stack:
        shops = []
        for place, owner in enumerate(owners):
            side = await stack.enter_async_context(shop(10 + place, owner))
            await stack.enter_async_context(side.on(network, str(place)))
            shops.append(side)
        client = await stack.enter_async_context(shop(2, role=Role.CLIENT))
        links = await stack.enter_async_context(client.on(network, "client"))
        yield Street(shops, client, links)


@pytest.mark.parametrize("owners", [(CHEAP, DEAR), (DEAR, CHEAP)], ids=["first", "second"])
async def test_the_cheaper_of_two_offers_is_confirmed(owners: tuple[Mapping[str, Any], ...]) -> None:
    async with street(*owners) as here:
        agreed = await here.agree()
        cheap, dear = here.shops if owners[0] is CHEAP else here.shops[::-1]
        assert agreed.asked.link.peer == cheap.key
        assert agreed.offer.price_steps[0].price_micro_per_kwh == 200_000
        assert await here.written(cheap) == [EntryType.ACCEPT, EntryType.CONFIRM]
        assert await here.written(dear) == []
        assert len(here.client.told("offer")) == 2


async def test_a_rejected_accept_goes_on_to_the_next_best() -> None:
    async with street(CHEAP, DEAR) as here:
        cheap, dear = here.shops

        async def change_of_mind(items: RawItems) -> None:
            if is_entry(items[0]):
                stop_selling(cheap)

        cheap.door = change_of_mind
        agreed = await here.agree()
        assert agreed.asked.link.peer == dear.key
        assert await here.written(cheap) == [EntryType.ACCEPT, EntryType.REJECT]
        assert await here.written(dear) == [EntryType.ACCEPT, EntryType.CONFIRM]


async def test_ready_goes_with_the_accept_and_a_repetition_spells_out_and_is_ready_anew() -> None:
    async with street(CHEAP) as here:
        frames: list[RawItems] = []

        async def refuse_once(items: RawItems) -> None:
            if is_entry(items[0]):
                frames.append(items)
                if len(frames) == 1:
                    raise FrameInvalid("What was left out is not known here.")

        here.shops[0].door = refuse_once
        agreed = await here.agree()
        (accept, ready), (again, ready_again) = frames
        assert accept[SIGNATURE] == again[SIGNATURE]
        assert (accept[ANSWERS], again[ANSWERS]) == (True, agreed.asked.answer.digest)
        assert [kind for kind, _ in (ready, ready_again)] == [MessageType.READY] * 2
        last = agreed.asked.ready
        assert last is not None
        assert ready_again[1] == to_map(last)
        assert ready[1][0] < last.seq
        assert ready[1][1] != last.nonce
        assert await here.written(here.shops[0]) == [EntryType.ACCEPT, EntryType.CONFIRM]


@pytest.mark.parametrize("helpful", [0, 1])
async def test_the_refusal_that_says_what_would_pass_is_the_one_told(helpful: int) -> None:
    mute = {**LOW, "say_would_pass": False}
    async with street(mute, LOW) as here:
        answered = asyncio.Event()

        async def answer_first(items: RawItems) -> None:
            answered.set()

        async def wait(items: RawItems) -> None:
            await answered.wait()

        here.shops[1 - helpful].door, here.shops[helpful].door = wait, answer_first
        with pytest.raises(RefusedByLimit) as refused:
            await here.agree()
        assert refused.value.code == "energy_unavailable"
        assert refused.value.details["would_pass"] is not None
        passing_wh = refused.value.details["would_pass"]["value"]
        assert 0 < passing_wh < 1_000
        smaller = Wish(Service.V2V, passing_wh, passing_wh, 11_000, 600_000, 7_200_000)
        assert (await here.agree(here.need(smaller))).offer.energy_wh == passing_wh


async def test_an_offer_above_the_clients_own_limit_is_not_accepted() -> None:
    async with street(DEAR) as here:
        with pytest.raises(RefusedByLimit) as refused:
            await here.agree(here.need(Wish(Service.V2V, 5_000, 1_000, 11_000, 300_000, 7_200_000)))
        assert refused.value.code == "price_too_low"
        assert refused.value.details["would_pass"] == {"quantity": "price_micro_per_kwh", "value": 400_000}
        assert await here.written(here.client) == []


async def test_only_the_provider_that_was_named_is_agreed_with() -> None:
    async with street(CHEAP, DEAR) as here:
        dear = here.shops[1]
        agreed = await here.agree(here.need(only=dear.key.hex()[:8]))
        assert agreed.asked.link.peer == dear.key
        assert here.client.told("ask_failed")[0].data["code"] == "other_peer"


async def test_nobody_in_reach_is_unreachable() -> None:
    async with street(CHEAP) as here:
        with pytest.raises(Unreachable):
            await here.need().agree([])
        assert here.shops[0].told("offered") == []


async def test_a_need_withdrawn_before_an_answer_accepts_nothing() -> None:
    async with street(CHEAP) as here:
        need = here.need()

        async def withdraw(items: RawItems) -> None:
            need.withdraw()

        here.shops[0].door = withdraw
        with pytest.raises(RefusedByLimit) as refused:
            await here.agree(need)
        assert refused.value.code == "withdrawn"
        assert await here.written(here.client) == []


async def test_a_need_withdrawn_while_its_accept_is_decided_says_so_to_whoever_asked() -> None:
    async with street(CHEAP) as here:
        need = here.need()

        async def withdraw(items: RawItems) -> None:
            if is_entry(items[0]):
                need.withdraw()

        here.shops[0].door = withdraw
        await here.agree(need)
        assert need.is_withdrawn


async def test_a_wish_that_can_not_be_said_asks_nobody() -> None:
    async with street(CHEAP) as here:
        with pytest.raises(TermsInvalid):
            await here.agree(here.need(Wish(Service.V2V, 1_000, 5_000, 11_000, 600_000, 7_200_000)))
        assert here.shops[0].told("offered") == []


# one provider on two bearers


@asynccontextmanager
async def corner(*networks: MemoryNetwork) -> AsyncIterator[Street]:
    """One provider and a client, both on all of these."""
    async with AsyncExitStack() as stack:
        side = await stack.enter_async_context(shop(10, CHEAP))
        await stack.enter_async_context(side.on(networks[0], "0", *networks[1:]))
        client = await stack.enter_async_context(shop(2, role=Role.CLIENT))
        links = await stack.enter_async_context(client.on(networks[0], "client", *networks[1:]))
        yield Street([side], client, links)


def memory_and_ble() -> tuple[MemoryNetwork, MemoryNetwork]:
    return MemoryNetwork(3, delay_ms=(1, 1)), MemoryNetwork(4, delay_ms=(60, 60), bearer="ble")


async def test_a_stranger_heard_on_two_bearers_gets_one_request_and_both_places_are_known() -> None:
    async with corner(*memory_and_ble()) as here:
        agreed = await here.need().agree([seen("0", "ble"), seen("0")])
        await agreed.asked.link.aclose()
        assert agreed.asked.link.bearer == "memory"
        assert set(agreed.elsewhere) == {Place("memory", "0"), Place("ble", "0")}
        assert len(here.client.told("offer")) == 1
        assert len(here.shops[0].told("offered")) == 1
        assert here.client.told("ask_failed") == []


async def test_who_proves_a_key_on_one_bearer_and_is_silent_then_is_asked_on_the_other() -> None:
    memory, ble = memory_and_ble()
    async with corner(memory, ble) as here:
        named = asyncio.Event()

        async def cut_after_the_first(ask: Callable[[], Awaitable[bytes]]) -> bytes:
            if named.is_set():
                raise LinkLost("the network is down once the stranger has said who it is")
            answer = await ask()
            named.set()
            return answer

        transports = here.links.transports
        cut = Tapped(transports["memory"], cut_after_the_first)
        here.links._transports = {"memory": cut, "ble": transports["ble"]}
        agreed = await here.need().agree([seen("0", "ble"), seen("0")])
        await agreed.asked.link.aclose()
        assert agreed.asked.link.bearer == "ble"
        assert len(here.client.told("offer")) == 1


@pytest.mark.parametrize(("dead", "carries"), [("ble", "memory"), ("memory", "ble")])
async def test_a_known_peer_is_asked_on_the_better_bearer_or_on_the_one_that_works(dead: str, carries: str) -> None:
    networks = memory_and_ble()
    async with corner(*networks) as here:
        next(each for each in networks if each.bearer == dead).partition("client", "0")
        key = here.shops[0].key
        agreed = await here.need().agree([seen("0", "ble", key), seen("0", "memory", key)])
        await agreed.asked.link.aclose()
        assert agreed.asked.link.bearer == carries
        assert len(here.client.told("offer")) == 1


async def test_an_identifier_that_somebody_repeats_does_not_hide_the_peer_behind_it() -> None:
    memory, ble = memory_and_ble()
    async with corner(memory, ble) as here, shop(11, DEAR) as liar, liar.on(memory, "liar"):
        key = here.shops[0].key
        agreed = await here.need().agree([seen("liar", "memory", key), seen("0", "ble", key)])
        await agreed.asked.link.aclose()
        assert agreed.asked.link.peer == key
        assert liar.told("offered") == []


async def test_who_passes_on_a_providers_proof_and_is_silent_then_hides_it_for_a_head_start_only() -> None:
    """A relay without the key, on the cheaper bearer, beside another seller whose offer would end the asking."""
    memory, ble = memory_and_ble()
    async with AsyncExitStack() as stack:
        honest = await stack.enter_async_context(shop(10, CHEAP))
        await stack.enter_async_context(honest.on(ble, "honest"))
        dear = await stack.enter_async_context(shop(11, DEAR))
        await stack.enter_async_context(dear.on(memory, "dear"))
        client = await stack.enter_async_context(shop(2, role=Role.CLIENT))
        links = await stack.enter_async_context(client.on(memory, "client", ble))
        way = ble.transport("mallory")
        await stack.enter_async_context(way.serving(Relay(None)))
        await stack.enter_async_context(memory.transport("relay").serving(Relay(await way.dial("honest"))))
        heard = [seen("relay"), seen("dear"), seen("honest", "ble")]
        agreed = await client.need(WISH, links).agree(heard)
        await agreed.asked.link.aclose()
        assert agreed.asked.link.peer == honest.key
        assert agreed.asked.link.raw.address == "honest"


class Relay:
    """Passes on the first frame and its answer, and nothing after that."""

    def __init__(self, link: Any) -> None:
        self._link = link

    async def answer(self, frame: bytes, source: str) -> bytes | None:
        link, self._link = self._link, None
        return None if link is None else bytes(await link.request(frame, timeout_ms=5_000))

    async def subscribed(self, frame: bytes, source: str, pusher: Any) -> bytes | None:
        return None


async def test_copies_of_one_peers_identifier_take_no_place_from_others() -> None:
    async with street(CHEAP, DEAR) as here:
        copies = [seen(f"copy {number}", "memory", b"k" * 32) for number in range(2 * MAX_ASKED)]
        agreed = await here.need().agree([*copies, seen("0"), seen("1")])
        await agreed.asked.link.aclose()
        assert len(here.client.told("offer")) == 2
