"""The desk against peers with valid keys and no manners. None of them gets further than its own session."""

import secrets

import pytest

from ledger import cbor
from ledger.entry import EntryType
from market.errors import Reason
from market.terms import Accept, Alive, Closed, Confirm, Decline, Interval, Offer, Receipt, Reject, Resume, Void
from tests.support.node_pair import propose, stranger, town, until, wish
from transports.errors import LinkLost
from transports.secure import Dialer
from v2xnode.envelope import REFUSED, FrameInvalid, Plain, pack, read, sign_letter
from v2xnode.trading.selling import MAX_ENTRIES, Selling
from v2xnode.trading.shop import MAX_REQUESTS_OF_PEER

CAR_A = "car_a"
SILENCE_MS = 300
"""Real time after which no answer counts as silence: the in-memory network takes a hundredth of it."""


async def test_an_offer_and_its_accept_become_one_confirm_that_is_repeated() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(60))
        assert isinstance(deal.answer.message, Offer)
        accept = await deal.accept()
        first = await deal.ask(accept)
        confirm = next(item for item in first if isinstance(item.message, Confirm))
        assert [item.message for item in await deal.ask(accept) if isinstance(item.message, Confirm)] == [
            confirm.message
        ]
        again = next(item for item in await deal.ask(accept) if isinstance(item.message, Confirm))
        assert again.digest == confirm.digest
        assert [stored.type for stored, _ in world.trades(CAR_A)[0].entries] == [EntryType.ACCEPT, EntryType.CONFIRM]
        assert world.outbox(CAR_A) == 0


async def test_a_second_accept_in_other_bytes_gets_no_second_confirm() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(60))
        await deal.ask(await deal.accept())
        other = await deal.ask(await deal.accept())
        assert not [item for item in other if isinstance(item.message, Confirm)]
        assert len(world.trades(CAR_A)[0].of(Confirm)) == 1


async def test_a_replayed_opening_changes_nothing_on_the_disk() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        request = wish(60).request_to(world.key(CAR_A), secrets.token_bytes(16))
        letter = sign_letter(who.identity.signer, request)
        hello = (await who.links._greet(None)).hello
        opening = Dialer(who.identity.seed, remote=world.key(CAR_A)).first(pack([Plain(hello), letter]))
        before = world.contents(CAR_A)
        raw = await who.transport.dial(CAR_A)
        answers = {await raw.request(opening, timeout_ms=5_000) for _ in range(10)}
        assert len(answers) == 1, "a repeated opening is answered with the stored bytes"
        assert world.contents(CAR_A) == before


async def test_a_request_repeated_on_a_link_that_may_be_a_replay_moves_no_session() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(60))
        await deal.ask(await deal.accept())
        async with deal.link.pushes() as pushes:
            await anext(pushes)
            _, said = await who.dial(CAR_A, deal.letter, key=world.key(CAR_A))
            assert said == []
            sale = world.nodes[CAR_A]._desk.shop._sales[deal.id]
            assert isinstance(sale, Selling)
            link = sale.link
            assert link.session.local_id == deal.link.session.remote_id
            assert link.pusher is not None


async def test_an_unknown_session_is_named_as_such() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        link, resumed = await who.dial(CAR_A, Plain(Resume(b"s" * 16)), key=world.key(CAR_A))
        context = link.context(who.identity.public, b"s" * 16)
        for said in (resumed, await link.ask([Plain(Alive(1, 0))])):
            assert [read(raw, context).message for raw in said] == [Decline(b"s" * 16, Reason.REQUEST_UNKNOWN)]


async def test_a_session_belongs_to_the_peer_that_opened_it() -> None:
    async with town(CAR_A) as world, stranger(world, "one") as one, stranger(world, "other") as other:
        deal = await propose(world, one, CAR_A, wish(60))
        theirs = await propose(world, other, CAR_A, wish(10))
        accept = await deal.accept()
        before = world.contents(CAR_A)
        _, said = await other.dial(CAR_A, Plain(Resume(deal.id)), key=world.key(CAR_A))
        assert len(said) == 1, "a refusal"
        with pytest.raises(FrameInvalid):  # signed by another than the link's peer
            await theirs.link.ask([accept])
        assert world.contents(CAR_A) == before


@pytest.mark.parametrize(
    "items",
    [
        [[]],
        [[1]],
        [7],
        [[True, {}]],
        [[99, {}]],
        [[22, {0: 0}]],
        [[22, {0: -1, 1: 0}]],
        [[22, []]],
        [[2, {}, 5]],
        [[1, {}, b"", b"", b"", b""]],
        [[2, 1, b"", b"", b"\xff", bytes(64)]],
        [[2, 1, b"", b"", b"\xa0", bytes(64), b"", b"", b""]],
        [[22, {0: 0, 1: 0}]] * 9,
        [[24, {0: b"short"}]],
        [[0, {}]],
    ],
    ids=str,
)
async def test_a_frame_that_breaks_the_rules_is_refused_and_the_node_goes_on(items: list[object]) -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(60))
        assert await who.say(deal.link, cbor.encode(items)) == REFUSED
        assert [item.message for item in await deal.ask(deal.letter)] == [deal.answer.message]


@pytest.mark.parametrize("frame", [b"", b"\xff", REFUSED, cbor.encode([True]), cbor.encode({0: 1})])
async def test_what_is_no_frame_is_refused_alike(frame: bytes) -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(60))
        assert await who.say(deal.link, frame) == REFUSED


async def test_what_does_not_open_a_link_is_met_with_silence() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        payload = pack([Plain((await who.links._greet(None)).hello), Plain(Alive(1, 0))])
        raw = await who.transport.dial(CAR_A)
        known = Dialer(who.identity.seed, remote=world.key(CAR_A))
        with pytest.raises(LinkLost):
            await raw.request(known.first(payload), timeout_ms=SILENCE_MS)
        unknown = Dialer(who.identity.seed, remote=None)
        unknown.receive(await raw.request(unknown.first(), timeout_ms=5_000))
        with pytest.raises(LinkLost):
            await raw.request(unknown.introduce(payload), timeout_ms=SILENCE_MS)
        assert {event.data["code"] for event in world.events(CAR_A, "link_refused")} == {"malformed"}


@pytest.mark.parametrize("payload", [b"", b"\xff", cbor.encode([0]), cbor.encode([0, []]), cbor.encode([0, [0, {}]])])
async def test_a_strangers_payload_of_the_third_message_may_be_anything(payload: bytes) -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        before = world.contents(CAR_A)
        raw = await who.transport.dial(CAR_A)
        dialer = Dialer(who.identity.seed, remote=None)
        dialer.receive(await raw.request(dialer.first(), timeout_ms=5_000))
        with pytest.raises(LinkLost):
            await raw.request(dialer.introduce(payload), timeout_ms=SILENCE_MS)
        assert world.contents(CAR_A) == before
        assert isinstance((await propose(world, who, CAR_A, wish(60))).answer.message, Offer)


async def test_before_an_agreement_only_accept_and_void_are_kept() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(60))
        void = await deal.entry(Void(peer=deal.request.provider, at_s=0, reason=Reason.WITHDRAWN), b"")
        interval = await deal.entry(Interval(peer=deal.request.provider, number=0, end_at_ms=1, register_wh=0), b"")
        before = world.contents(CAR_A)
        with pytest.raises(FrameInvalid):
            await deal.ask(interval)
        assert world.contents(CAR_A) == before
        await deal.ask(void)
        assert world.contents(CAR_A) != before


async def test_a_peer_can_fill_neither_our_disk_nor_our_outbox_with_accepts() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(400_000, least_wh=400_000))
        assert isinstance(deal.answer.message, Decline)
        refused = 0
        for _ in range(MAX_ENTRIES + 4):
            entry = await deal.entry(Accept(peer=deal.request.provider, at_s=0, currency="EUR"), deal.letter.digest)
            try:
                await deal.ask(entry)
            except FrameInvalid:
                refused += 1
        assert refused == 4
        assert world.outbox(CAR_A) == 0


async def test_requests_of_one_peer_are_bounded_and_the_oldest_gives_way() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deals = [await propose(world, who, CAR_A, wish(10)) for _ in range(MAX_REQUESTS_OF_PEER + 1)]
        assert len(world.nodes[CAR_A]._desk.shop._sales) == MAX_REQUESTS_OF_PEER
        oldest, newest = deals[0], deals[-1]
        assert [type(item.message) for item in await oldest.ask(await oldest.accept())] == [Decline]
        assert Confirm in [type(item.message) for item in await newest.ask(await newest.accept())]


async def test_a_promise_is_not_pushed_out_by_more_requests() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(10))
        await deal.ask(await deal.accept())
        for _ in range(MAX_REQUESTS_OF_PEER + 1):
            await propose(world, who, CAR_A, wish(10))
        assert deal.id in world.nodes[CAR_A]._desk.shop._sales


async def test_stopping_everything_takes_offers_back() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(60))
        await world.nodes[CAR_A].stop()
        said = [item.message for item in await deal.ask(await deal.accept())]
        assert any(isinstance(message, Decline) and message.reason is Reason.STOPPED_BY_OWNER for message in said)
        assert any(isinstance(message, Reject) for message in said)
        assert not any(isinstance(message, Confirm) for message in said)
        world.check()


async def test_a_stranger_can_write_nothing_into_a_running_session_but_what_fits() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(60))
        confirm = next(item for item in await deal.ask(await deal.accept()) if isinstance(item.message, Confirm))
        rich = Closed(peer=deal.request.provider, at_s=0, receipts=9, agreed_wh=10**6, amounts_micro=(10**12,))
        bill = Receipt(peer=deal.request.provider, number=0, register_wh=0, agreed_wh=0, amounts_micro=(10**12,))
        await deal.ask(await deal.entry(rich, confirm.digest))
        await deal.ask(await deal.entry(bill, confirm.digest))
        await deal.ask(await deal.entry(Void(deal.request.provider, 0, Reason.WITHDRAWN), confirm.digest))
        await world.heard(CAR_A, "finished")
        assert world.balances(CAR_A) == {}
        assert world.trades(CAR_A)[0].state == "void"
        world.check()


async def test_a_node_that_went_down_between_the_last_word_and_the_end_of_its_locks_frees_them() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(60))
        confirm = next(item for item in await deal.ask(await deal.accept()) if isinstance(item.message, Confirm))
        await deal.ask(await deal.entry(Void(deal.request.provider, 0, Reason.WITHDRAWN), confirm.digest))
        desk = world.nodes[CAR_A]._desk
        await until("the session is over", lambda: not desk.deliveries.running)
        assert world.locks(CAR_A) == 0
        await desk.books.run(lambda transaction: transaction.lock(deal.id, "connector", 1, 0, 1))
        assert world.locks(CAR_A) == 1
        await desk._reopen_all()
        assert world.locks(CAR_A) == 0
        assert not desk.deliveries.running
