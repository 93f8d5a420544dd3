"""Whoever sends without end gets bounded work out of a node, bounded memory, and nobody else's place."""

import asyncio
import gc
import tracemalloc
from random import Random
from typing import Any

from market.terms import Decline, Interval, Receipt
from tests.support.node_pair import LOOK_MS, Town, propose, stranger, town, until, wish
from tests.transports.pairs import acceptor, dialer, open_known
from transports.acceptor import Limits
from transports.handshake import FrameKind, draw_link_id, pack_frame
from transports.secure import Accepted, Acceptor, Dialer, Reason, Send, Silence
from transports.varint import encode_varint
from v2xnode.envelope import FrameInvalid, Plain, pack, sign_letter
from v2xnode.identity import Identity
from v2xnode.trading.client_channel import ClientChannel
from v2xnode.trading.delivering import MAX_UNANSWERED
from v2xnode.trading.shop import MAX_REQUESTS

CAR_A, CAR_B = "car_a", "car_b"
FLOODERS = 200
"""Sources of one attacker: addresses of one network are free."""
HELD_BYTES = 3_000_000
"""What 4,096 half-open handshakes and 1,024 sources may take: some hundred bytes each."""


def question(seed: int) -> bytes:
    """A stranger's first frame: any 32 bytes below the field's prime are a key to it."""
    return pack_frame(FrameKind.XX1, Random(seed).randbytes(31) + b"\x01" + bytes(4))


def test_an_honest_stranger_gets_in_while_others_flood() -> None:
    host = acceptor()
    guest = dialer(None)
    second = host.receive(guest.first(), "honest", 0)
    assert isinstance(second, Send)
    guest.receive(second.frame)
    for number in range(3_000):
        host.receive(question(number), f"flood {number % FLOODERS}", number // 2)
    assert 2_000 < host.half_open <= Limits().half_open
    assert isinstance(host.receive(guest.introduce(b"request"), "honest", 1_500), Accepted)


def test_half_open_handshakes_and_sources_take_no_memory_without_end() -> None:
    limits = Limits(half_open=256, sources=256)
    host = acceptor(limits=limits)
    tracemalloc.start()
    try:
        full, later = [held_after(host, range(start, start + 600)) for start in (0, 600)]
    finally:
        tracemalloc.stop()
    assert host.half_open == limits.half_open
    assert later - full < full // 20
    assert full * Limits().half_open // limits.half_open < HELD_BYTES


def held_after(host: Acceptor, numbers: range) -> int:
    """Bytes in use after a question from a new source every 100 ms."""
    for number in numbers:
        host.receive(question(number), f"source {number}", 100 * number)
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def test_guessed_link_ids_find_nothing_and_disturb_nobody() -> None:
    host = acceptor()
    opened, arrived = open_known(host)
    reasons = set()
    for link_id in range(8, 1 << 14):
        outcome = host.receive(encode_varint(link_id) + b"\x00" + bytes(24), "guesser", 0)
        assert isinstance(outcome, Silence)
        reasons.add(outcome.reason)
    assert reasons == {Reason.UNKNOWN_LINK, Reason.FORGED}
    assert host.links == 1
    assert not arrived.session.established
    assert not isinstance(host.receive(opened.session.seal(b"accept"), "guest", 0), Silence)


def test_link_ids_differ_between_nodes_and_lives() -> None:
    drawn = {draw_link_id(Random(seed).randbytes, lambda _: False) for seed in range(50)}
    assert len(drawn) > 45


async def test_requests_of_many_keys_are_bounded_and_the_next_one_is_answered() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        links, sales = world.nodes[CAR_A]._links, world.nodes[CAR_A]._desk.shop._sales
        hello = (await who.links._greet(None)).hello
        for number in range(MAX_REQUESTS + 20):
            identity = Identity.from_seed(number.to_bytes(32, "big"))
            request = wish(20).request_to(world.key(CAR_A), number.to_bytes(16, "big"))
            opening = Dialer(identity.seed, remote=world.key(CAR_A)).first(
                pack([Plain(hello), sign_letter(identity.signer, request)])
            )
            assert await links._answer("memory", opening, f"source {number}", None) is not None
        assert len(sales) == MAX_REQUESTS
        honest = await propose(world, who, CAR_A, wish(20))
        assert not isinstance(honest.answer.message, Decline)
        assert world.trades(CAR_A) == []


async def test_a_client_can_not_fill_its_providers_disk_with_receipts_that_are_passed_over() -> None:
    """Each is sound by itself, and older than what both agree on: nothing to refuse, nothing to answer."""
    async with town(CAR_A, CAR_B) as world:
        await world.plug()
        buying = asyncio.create_task(world.nodes[CAR_B].request(wish(270), look_ms=LOOK_MS))
        await until("energy flows", lambda: any(each["delivered_wh"] >= 2 for each in running(world)))
        [cheat] = world.nodes[CAR_B]._desk.deliveries.running.values()
        assert isinstance(cheat.channel, ClientChannel)
        refused, client = False, world.trade(CAR_B, cheat.request_id.hex())
        first = next(stored for stored, message in client.entries if isinstance(message, Interval))
        for number in range(2 * MAX_UNANSWERED):
            old = Receipt(cheat.peer, 0, 1_000_000 + number)
            entry = await cheat.books.append(cheat.peer, cheat.request_id, old, first.hash, asked=True)
            try:
                await cheat.channel.link.ask([entry])
            except FrameInvalid:
                refused = True
                break
        held = world.trade(CAR_A, cheat.request_id.hex())
        assert refused
        assert MAX_UNANSWERED <= len(held.of(Receipt)) <= MAX_UNANSWERED + 2 * len(held.of(Interval))
        await world.nodes[CAR_A].stop()
        await world.heard(CAR_A, "finished")
        await asyncio.gather(buying, return_exceptions=True)
        world.check(CAR_A)


def running(world: Town) -> list[dict[str, Any]]:
    return world.nodes[CAR_A]._desk.deliveries.as_json()
