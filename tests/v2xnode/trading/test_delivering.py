"""Running deliveries when something of ours fails: power goes off, one session ends, the node goes on."""

import asyncio

import pytest

from ledger.store.writer import Writer
from market.delivery import ClientDelivery, OwnerStop
from market.errors import Reason
from market.terms import Alive, Close, Interval, Pause, PowerState, Status, Void
from tests.support.node_pair import LOOK_MS, Town, propose, stranger, town, until, wish
from tests.support.node_shop import raw
from v2xnode.devices.interface import Reading
from v2xnode.envelope import FrameInvalid, Link, Plain, in_full, message_of
from v2xnode.metering import Metered
from v2xnode.node import Node
from v2xnode.trading.delivering import MAX_INBOX, MAX_UNANSWERED, Delivering
from v2xnode.trading.inbox import Heard
from v2xnode.trading.provider_channel import ProviderChannel

CAR_A, CAR_B = "car_a", "car_b"
PATIENCE_S = 30
"""Real time for a delivery to settle on a busy machine."""


async def flowing(world: Town) -> Delivering:
    """The provider's delivery, once its meter has counted some of it."""
    running = world.nodes[CAR_A]._desk.deliveries.running
    await until("energy flows", lambda: any(each.walk.delivered_wh >= 5 for each in running.values()))
    [delivering] = running.values()
    return delivering


def break_disk(node: Node) -> None:
    """From now on nothing can be written."""
    writer = node._books._writer
    assert isinstance(writer, Writer)
    writer.close()


async def test_a_ledger_that_fails_takes_the_power_off_and_the_node_goes_on() -> None:
    async with town(CAR_A, CAR_B) as world:
        await world.plug()
        node = world.nodes[CAR_A]
        buying = asyncio.create_task(world.nodes[CAR_B].request(wish(300), look_ms=LOOK_MS))
        delivering = await flowing(world)
        delivered = delivering.walk
        break_disk(node)
        assert (await world.heard(CAR_A, "power_cut")).data["code"] == "ledger_fault"
        await until("the path is at rest", lambda: delivered.path.ended)
        assert await world.power_w("car_a.v2v") == 0
        assert (await node.status())["node"] == world.key(CAR_A).hex()
        assert not buying.done()
        buying.cancel()


async def test_an_entry_that_can_not_be_kept_stops_the_session_in_order() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(60))
        await deal.ask(await deal.accept())
        void = await deal.entry(Void(deal.request.provider, 0, Reason.WITHDRAWN), deal.answer.digest)
        break_disk(world.nodes[CAR_A])
        with pytest.raises(FrameInvalid):
            await deal.ask(void)
        assert (await world.heard(CAR_A, "finished")).data["code"] == "ledger_fault"
        assert world.events(CAR_A, "delivery_failed") == []


async def test_a_device_that_dies_ends_the_delivery_and_not_the_node() -> None:
    async with town(CAR_A, CAR_B) as world:
        await world.plug()
        buying = asyncio.create_task(world.nodes[CAR_B].request(wish(300), look_ms=LOOK_MS))
        await flowing(world)
        await world.plant.ask({"op": "inject", "terminal": "car_a.v2v", "fault": "pulled", "on": True})
        await world.heard(CAR_A, "path_fault")
        assert (await world.heard(CAR_A, "finished")).data["code"] == "power_fault"
        await buying
        world.check()


async def test_a_path_that_is_only_paused_does_not_outlast_its_session() -> None:
    async with town(CAR_A, CAR_B) as world:
        await world.plug()
        buying = asyncio.create_task(world.nodes[CAR_B].request(wish(300), look_ms=LOOK_MS))
        await flowing(world)
        [delivering] = world.nodes[CAR_B]._desk.deliveries.running.values()
        await delivering.walk.suspend()
        async with asyncio.timeout(PATIENCE_S):  # a pause ends by itself after a quarter of an hour only
            await buying
        assert delivering.walk.path.ended
        world.check()


async def test_an_inbox_that_is_full_of_readings_and_questions_still_takes_orders() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(60))
        await deal.ask(await deal.accept())
        [delivering] = world.nodes[CAR_A]._desk.deliveries.running.values()
        void = await deal.entry(Void(deal.request.provider, 0, Reason.WITHDRAWN), deal.answer.digest)
        reading = Metered(Reading(at_ms=1, import_wh=0, export_wh=0, power_w=0, class_ppm=0))
        for _ in range(2 * MAX_INBOX):
            delivering.post(reading)
        assert delivering._is_behind
        assert isinstance(delivering.channel, ProviderChannel)
        assert await delivering.ask(delivering.channel.link, []) == ()
        with pytest.raises(FrameInvalid):  # an answer would say that we hold it
            await delivering.ask(delivering.channel.link, raw(void))
        delivering.post(OwnerStop(Reason.STOPPED_BY_OWNER))
        assert (await world.heard(CAR_A, "finished")).data["code"] == "stopped_by_owner"


async def test_an_entry_that_waits_at_the_end_is_not_called_held() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(60))
        await deal.ask(await deal.accept())
        [delivering] = world.nodes[CAR_A]._desk.deliveries.running.values()
        assert isinstance(delivering.channel, ProviderChannel)
        void = await deal.entry(Void(deal.request.provider, 0, Reason.WITHDRAWN), deal.answer.digest)
        asked = asyncio.create_task(delivering.ask(delivering.channel.link, raw(void)))
        await asyncio.sleep(0)
        await delivering.catch_up()
        with pytest.raises(FrameInvalid):
            await asked


async def test_a_status_counts_as_heard_only_when_all_that_came_with_it_is_kept() -> None:
    async with town(CAR_A, CAR_B) as world:
        await world.plug()
        buying = asyncio.create_task(world.nodes[CAR_B].request(wish(300), look_ms=LOOK_MS))
        await flowing(world)
        [delivering] = world.nodes[CAR_B]._desk.deliveries.running.values()
        [sold] = world.trades(CAR_A)
        interval = next(stored.signed for stored, message in sold.entries if isinstance(message, Interval))
        break_disk(world.nodes[CAR_B])
        status = Status(number=1_000, delivered_wh=0, power_w=0, state=PowerState.DELIVERING)
        delivering.post(Heard(raw(Plain(status), in_full(Link(message_of(interval), interval)))))
        await world.heard(CAR_B, "ledger_failed")
        machine = delivering.machine
        assert isinstance(machine, ClientDelivery)
        assert machine._status_number < 1_000
        buying.cancel()


async def test_a_peer_that_talks_without_pause_does_not_hold_up_what_is_due() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(60))
        await deal.ask(await deal.accept())
        [delivering] = world.nodes[CAR_A]._desk.deliveries.running.values()
        delivering._linger_until_ms = 0  # anything that is due
        delivering.post(Alive(0, 0))
        assert type(await delivering._next()).__name__ == "Tick"
        delivering._linger_until_ms = None
        assert delivering._inbox.qsize() >= 1
        delivering._inbox.get_nowait()


async def test_controls_out_of_step_are_told_and_change_nothing() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(60))
        await deal.ask(await deal.accept())
        await deal.ask(Plain(Pause(1, paused=True)))
        assert (await world.heard(CAR_A, "message_refused")).data["message"] == "Pause"
        assert len(world.nodes[CAR_A]._desk.deliveries.running) == 1


async def test_entries_that_fit_nowhere_do_not_fill_the_disk() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(60))
        await deal.ask(await deal.accept())
        for number in range(MAX_UNANSWERED + 8):
            misfit = await deal.entry(Close(deal.request.provider, number, Reason.SHUTDOWN, 9, 9, (1,)), b"")
            try:
                await deal.ask(misfit)
            except FrameInvalid:
                break
        held = [each for each in world.trade(CAR_A, deal.id.hex()).of(Close) if each.receipts == 9]
        assert 0 < len(held) <= MAX_UNANSWERED
        assert number >= MAX_UNANSWERED
