"""One request, asked and answered over real links: repeats, counters, late and broken items."""

from ledger import cbor
from market.errors import Reason
from market.terms import Confirm, Counter, Decline, Offer, Void
from tests.support.node_pair import propose, stranger, town, wish
from v2xnode.envelope import pack, sign_letter, unpack

CAR_A = "car_a"


async def test_a_request_asked_again_gets_the_same_offer() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(60))
        assert await deal.ask(deal.letter) == [deal.answer]
        assert await deal.ask(deal.letter) == [deal.answer]


async def test_a_counter_gets_a_new_offer_and_the_old_one_is_void() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(60))
        accept = await deal.accept()
        counter = Counter(request_id=deal.id, number=1, energy_wh=40, price_max_micro_per_kwh=600_000)
        [newer] = await deal.ask(sign_letter(who.identity.signer, counter))
        assert isinstance(newer.message, Offer)
        assert (newer.message.number, newer.message.energy_wh) == (1, 40)
        said = [item.message for item in await deal.ask(accept)]
        assert [getattr(message, "reason", None) for message in said] == [Reason.OFFER_SUPERSEDED]


async def test_an_item_that_breaks_the_rules_takes_nothing_from_the_confirm_before_it() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(60))
        [item] = unpack(pack(deal.tag, [await deal.accept()]))[1]
        answer = await who.say(deal.link, cbor.encode([deal.tag, item, [99, {}]]))
        kinds = [type(deal.read(raw).message) for raw in unpack(answer)[1]]
        assert Confirm in kinds


async def test_a_void_ends_it_before_any_accept() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(60))
        void = await deal.entry(Void(deal.request.provider, 0, Reason.WITHDRAWN), deal.answer.digest)
        await deal.ask(void)
        said = await deal.ask(await deal.accept())
        assert Confirm not in [type(item.message) for item in said]
        assert world.locks(CAR_A) == 0


async def test_a_refusal_at_the_commit_is_told_to_the_owner_in_the_loops_own_thread() -> None:
    async with town(CAR_A) as world, stranger(world, "one") as one, stranger(world, "other") as other:
        first, second = [await propose(world, each, CAR_A, wish(250, least_wh=250)) for each in (one, other)]
        with world.nodes[CAR_A].events.listening() as events:
            assert Confirm in [type(item.message) for item in await first.ask(await first.accept())]
            said = [item.message for item in await second.ask(await second.accept())]
            assert Confirm not in [type(message) for message in said]
            while (event := await anext(events)).kind != "refused":
                pass
        assert event.session == second.id.hex()
        assert not any(isinstance(message, Decline) for message in said)
