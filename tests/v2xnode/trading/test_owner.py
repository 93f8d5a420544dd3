"""The owner's limits against what battery, ledger and clock say at that moment."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ledger.entry import EntryType
from ledger.signing import Signer
from ledger.witnessing.fork import fork_of_entries
from ledger.witnessing.forks import keep_fork
from market.errors import Reason
from market.terms import Confirm, Decline, Interval, Offer, Reject, Request
from tests.ledger.world import Chain
from tests.support.market_terms import request
from tests.support.node_books import Table, table
from tests.support.node_shop import CAPACITY_WH, EVENING_MS, STORED_WH, Shop, at_counter, shop, stop_selling
from v2xnode.trading.owner import BATTERY, CONNECTOR, MAX_UNSEEN, Asker, debt_lock

ANNA, BERT, OTHER_ID = b"a" * 32, b"b" * 32, b"o" * 16
RESERVE_PERMILLE = 600
"""Leaves 4,000 Wh of what is stored, less what the way loses."""
OWED_MICRO = 5_000_000
HOUR_MS = 3_600_000


def asker(side: Shop, peer: bytes = ANNA) -> Asker:
    return Asker(peer, side.electrical, "EUR")


async def ask(side: Shop, peer: bytes = ANNA, asked: Request | None = None) -> Offer | Decline:
    return await side.owner.quote(asked or request(), None, asker(side, peer))


async def hold(side: Shop, *locks: tuple[str, int], request_id: bytes = OTHER_ID) -> None:
    for name, quantity in locks:
        await side.books.run(
            lambda ledger, name=name, quantity=quantity: ledger.lock(  # type: ignore[misc]
                request_id, name, quantity, EVENING_MS - HOUR_MS, EVENING_MS + HOUR_MS
            )
        )


def reason(answer: Offer | Decline) -> Reason | None:
    return answer.reason if isinstance(answer, Decline) else None


# requests


async def test_whoever_signed_two_histories_is_refused() -> None:
    chain = Chain(Signer(b"f" * 32))
    proof = fork_of_entries(chain.make(EntryType.NET, b"one"), chain.make(EntryType.NET, b"other"))
    async with shop() as side:
        assert isinstance(await ask(side, proof.node), Offer)
        await side.books.run(lambda ledger: keep_fork(ledger, proof))
        assert reason(await ask(side, proof.node)) is Reason.NOT_WELCOME
        [event] = side.told("refused")
        assert event.data["code"] == Reason.FORKED.code
        assert isinstance(await ask(side), Offer)


async def test_the_owner_hears_which_limit_refused_and_the_peer_what_passes() -> None:
    async with shop(owner={"reserve_permille": RESERVE_PERMILLE}) as side:
        asked = request(energy_wh=10_000, energy_min_wh=5_000)
        answer = await ask(side, asked=asked)
        assert isinstance(answer, Decline)
        assert answer.reason is Reason.ENERGY_UNAVAILABLE
        assert answer.would_pass is not None
        passing_wh = answer.would_pass.value
        assert 3_000 < passing_wh < STORED_WH - CAPACITY_WH * RESERVE_PERMILLE // 1_000
        [event] = side.told("refused")
        assert event.data["code"] == "reserve"
        assert event.data["would_pass"] == {"quantity": "energy_wh", "value": passing_wh}
        again = replace(asked, energy_wh=passing_wh, energy_min_wh=passing_wh)
        assert isinstance(await ask(side, asked=again), Offer)
        more = replace(asked, energy_wh=passing_wh + 1, energy_min_wh=passing_wh + 1)
        assert isinstance(await ask(side, asked=more), Decline)


async def test_an_owner_who_says_nothing_gives_no_value_away() -> None:
    async with shop(owner={"reserve_permille": RESERVE_PERMILLE, "say_would_pass": False}) as side:
        answer = await ask(side, asked=request(energy_min_wh=9_000))
        assert isinstance(answer, Decline)
        assert answer.would_pass is None
        assert side.told("refused")[0].data["would_pass"] is not None


async def test_a_price_that_the_owner_wants_to_know_of_is_told_and_offered() -> None:
    async with shop(owner={"price_tell_micro_per_kwh": 400_000}) as side:
        assert isinstance(await ask(side), Offer)
        assert len(side.told("low_price")) == 1


async def test_a_stranger_is_let_in_at_the_owners_word_and_stays_so() -> None:
    async with shop(owner={"strangers": "ask"}) as side:
        assert reason(await ask(side)) is Reason.AWAITING_OWNER
        assert await side.owner.allow(ANNA.hex()[:8]) == ANNA
        assert isinstance(await ask(side), Offer)
        assert reason(await ask(side, BERT)) is Reason.AWAITING_OWNER


async def test_a_battery_that_does_not_answer_is_nothing_to_sell_and_no_crash() -> None:
    async with shop() as side:
        side.house.silent = True
        assert reason(await ask(side)) is Reason.NOT_OFFERED
        assert side.told("device_failed")[0].data["code"] == "device_unreachable"
        assert await side.owner.battery_json() is None
        side.house.silent = False
        assert isinstance(await ask(side), Offer)


# what is promised already


async def test_energy_that_other_sessions_hold_is_not_sold_again() -> None:
    async with shop(owner={"reserve_permille": RESERVE_PERMILLE}) as side:
        asked = request(energy_wh=3_000, energy_min_wh=3_000)
        await hold(side, (BATTERY, 3_000), request_id=asked.request_id)
        assert isinstance(await ask(side, asked=asked), Offer), "a session's own lock is not in its way"
        await hold(side, (BATTERY, 3_000))
        assert reason(await ask(side, asked=asked)) is Reason.ENERGY_UNAVAILABLE
        assert side.told("refused")[0].data["code"] == "committed_elsewhere"


async def test_a_connector_that_is_promised_is_busy_until_then() -> None:
    async with shop() as side:
        await hold(side, (CONNECTOR + "dc_converter", 1))
        answer = await ask(side)
        assert isinstance(answer, Decline)
        assert answer.reason is Reason.BUSY
        assert answer.would_pass is not None
        assert answer.would_pass.value == EVENING_MS + HOUR_MS


@pytest.mark.parametrize("days", [-1, 1])
async def test_a_connector_in_use_is_busy_whatever_the_clock_says(days: int) -> None:
    async with shop() as side:
        begun, later = bytes([7]) * 16, bytes([8]) * 16
        await hold(side, (CONNECTOR + "dc_converter", 1), request_id=begun)
        side.watch.skip_ms(days * 24 * HOUR_MS)
        side.owner.in_use = lambda: frozenset({later})
        assert isinstance(await ask(side), Offer), "one for another day is not in the way"
        side.owner.in_use = lambda: frozenset({begun})
        answer = await ask(side)
        assert isinstance(answer, Decline)
        assert answer.reason is Reason.BUSY


async def test_the_same_energy_is_confirmed_once() -> None:
    async with shop(owner={"reserve_permille": RESERVE_PERMILLE}) as side:
        first, second = (request(request_id=name * 16, energy_wh=3_000, energy_min_wh=3_000) for name in (b"1", b"2"))
        offers = [await ask(side, asked=each) for each in (first, second)]
        assert isinstance(offers[0], Offer)
        assert isinstance(offers[1], Offer)
        yes = await side.books.run(lambda view: side.owner.recheck(view, first, offers[0], asker(side)))  # type: ignore[arg-type]
        assert isinstance(yes.answer, Confirm)
        held = {lock.resource: lock.quantity for lock in yes.locks}
        assert held["delivered_wh"] == 3_000
        assert held[BATTERY] > 3_000
        assert held[debt_lock(ANNA)] == 900_000
        for lock in yes.locks:
            if not lock.resource.startswith(CONNECTOR):
                await hold(side, (lock.resource, lock.quantity), request_id=first.request_id)
        no = await side.books.run(lambda view: side.owner.recheck(view, second, offers[1], asker(side)))  # type: ignore[arg-type]
        assert isinstance(no.answer, Reject)
        assert no.answer.reason is Reason.ENERGY_UNAVAILABLE
        assert no.refusal is not None
        assert no.refusal.reason is Reason.COMMITTED_ELSEWHERE
        assert no.locks == ()


# debts


async def owing(world: Table) -> bytes:
    """The table's client owes the provider, by receipts of both; its key."""
    confirm = await world.agree()
    first = await world.interval(0, confirm.digest)
    receipt = await world.receipt(0, first, (OWED_MICRO,))
    await world.by(world.provider, Interval(world.client.key, 1, 2, 0), receipt.digest)
    return world.client.key


async def test_a_peer_that_owes_its_cap_is_refused_and_nobody_else() -> None:
    async with table() as world:
        debtor = await owing(world)
        async with shop(owner={"debt_cap_micro": OWED_MICRO}, books=world.provider.books) as side:
            assert reason(await ask(side, debtor)) is Reason.CREDIT_LIMIT
            assert side.told("refused")[0].data["code"] == "debt_cap"
            assert isinstance(await ask(side), Offer)


async def test_what_strangers_owe_is_counted_together_until_they_are_known() -> None:
    async with table() as world:
        debtor = await owing(world)
        async with shop(owner={"stranger_debt_cap_micro": OWED_MICRO}, books=world.provider.books) as side:
            assert reason(await ask(side)) is Reason.CREDIT_LIMIT
            assert side.told("refused")[0].data["code"] == "stranger_debt_cap"
            await side.acquaintances.met(debtor, b"k" * 16)
            assert isinstance(await ask(side), Offer)


@pytest.mark.parametrize(("known", "told"), [(False, Reason.CREDIT_LIMIT), (True, None)])
async def test_a_confirmed_session_counts_as_the_debt_that_it_may_become(known: bool, told: Reason | None) -> None:
    async with shop(owner={"stranger_debt_cap_micro": OWED_MICRO}) as side:
        if known:
            await side.acquaintances.met(BERT, b"k" * 16)
        await hold(side, (debt_lock(BERT), OWED_MICRO))
        assert reason(await ask(side)) is told


# the day


async def test_the_daily_cap_counts_the_sites_own_day() -> None:
    async with shop(owner={"daily_cap_wh": 10_000}, time_zone="Pacific/Auckland") as side:
        asked = request(energy_min_wh=5_000)
        midnight_ms = int(datetime(2026, 1, 15, 11, tzinfo=UTC).timestamp() * 1000)  # UTC+13
        side.watch.set(midnight_ms - HOUR_MS)
        side.owner.sold(9_000)
        assert reason(await ask(side, asked=asked)) is Reason.ENERGY_UNAVAILABLE
        assert side.told("refused")[0].data["code"] == "daily_cap"
        side.watch.set(midnight_ms)
        assert isinstance(await ask(side, asked=asked), Offer)


async def test_by_a_clock_that_was_never_set_the_last_day_counts() -> None:
    async with shop(owner={"daily_cap_wh": 10_000}) as side:
        asked = request(energy_min_wh=5_000)
        side.watch.set(23 * HOUR_MS)  # a machine that woke up in 1970
        side.owner.sold(9_000)
        side.watch.skip_ms(2 * HOUR_MS)
        assert reason(await ask(side, asked=asked)) is Reason.ENERGY_UNAVAILABLE
        side.watch.skip_ms(23 * HOUR_MS)
        assert isinstance(await ask(side, asked=asked), Offer)


# running deliveries


async def test_a_delivery_stops_at_the_reserve_and_when_the_owner_says_so() -> None:
    async with shop() as side, shop(2) as client:
        running = await (await at_counter(client, side)).confirmed()
        assert await side.owner.reason_to_stop(running) is None
        side.owner.policy = replace(side.owner.policy, reserve_permille=STORED_WH * 1_000 // CAPACITY_WH + 1)
        assert await side.owner.reason_to_stop(running) is Reason.RESERVE_REACHED
        side.house.silent = True
        blind = [await side.owner.reason_to_stop(running) for _ in range(MAX_UNSEEN)]
        assert blind == [*(None for _ in range(MAX_UNSEEN - 1)), Reason.POWER_FAULT], "the reserve can't be seen"
        side.house.silent = False
        stop_selling(side)
        assert await side.owner.reason_to_stop(running) is Reason.STOPPED_BY_OWNER


async def test_a_delivery_ends_with_its_window() -> None:
    async with shop() as side, shop(2) as client:
        running = await (await at_counter(client, side, window_ms=2 * HOUR_MS)).confirmed()
        side.watch.skip_ms(2 * HOUR_MS + 1)
        assert await side.owner.reason_to_stop(running) is Reason.WINDOW_ENDED
