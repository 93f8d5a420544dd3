"""Peers with valid keys that break the rules of a session: nothing of it counts, and an honest trade goes on beside."""

import secrets
from dataclasses import replace

import pytest

from ledger.message import MessageKind, sign_message
from market.errors import Reason
from market.terms import Accept, Confirm, MessageType, Pause, PowerLimit, Reject, Request, Resume, Void
from tests.support.node_pair import propose, stranger, town, wish
from v2xnode.envelope import FrameInvalid, Item, Letter, Plain, pack, sign_letter
from v2xnode.errors import PeerError

CAR_A = "car_a"
STORM = 200
NOBODY = b"s" * 16


def said(answer: list[Item], kind: type) -> list[Item]:
    return [item for item in answer if isinstance(item.message, kind)]


@pytest.mark.parametrize("kind", [MessageKind.OFFER, MessageKind.COUNTER])
async def test_a_request_signed_in_another_form_is_no_request(kind: MessageKind) -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        request = wish(20).request_to(world.key(CAR_A), secrets.token_bytes(16))
        sound = sign_letter(who.identity.signer, request)
        other = sign_message(who.identity.signer, kind, sound.signed.payload)
        link, _ = await who.dial(CAR_A, Plain(Resume(NOBODY)), key=world.key(CAR_A))
        with pytest.raises(FrameInvalid):
            await link.ask([Letter(request, replace(sound.signed, signature=other.signature))])
        [raw] = await link.ask([sound])
        assert raw[0] == MessageType.OFFER, "the same request, signed as it has to be"


async def test_a_request_of_somebody_else_is_not_asked_in_our_name() -> None:
    async with town(CAR_A) as world, stranger(world) as who, stranger(world, "victim") as victim:
        request: Request = wish(20).request_to(world.key(CAR_A), secrets.token_bytes(16))
        stolen = sign_letter(victim.identity.signer, request)
        link, _ = await who.dial(CAR_A, Plain(Resume(NOBODY)), key=world.key(CAR_A))
        with pytest.raises(FrameInvalid):
            await link.ask([stolen])


async def test_an_entry_of_one_session_does_not_count_in_another_of_the_same_peer() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        one = await propose(world, who, CAR_A, wish(20))
        other = await propose(world, who, CAR_A, wish(30))
        accept = await one.accept()
        before = world.contents(CAR_A)
        with pytest.raises(FrameInvalid):
            await other.link.ask([accept])
        assert world.contents(CAR_A) == before
        assert said(await one.ask(accept), Confirm)


async def test_an_accept_in_another_currency_binds_nobody_and_the_offer_still_holds() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(20))
        cheap = await deal.entry(Accept(deal.request.provider, 0, "XTS"), deal.answer.digest)
        [reject] = said(await deal.ask(cheap), Reject)
        assert isinstance(reject.message, Reject)
        assert reject.message.reason is Reason.CURRENCY_MISMATCH
        assert world.locks(CAR_A) == 0
        assert said(await deal.ask(await deal.accept()), Confirm)
        assert world.locks(CAR_A) > 0


async def test_recorded_frames_said_again_from_anywhere_change_nothing() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(20))
        accept = await deal.accept()
        record = deal.link.session.seal(pack([accept]))
        first = await deal.link.raw.request(record, timeout_ms=5_000)
        links, before = world.nodes[CAR_A]._links, world.contents(CAR_A)
        for number in range(STORM):
            assert await links._answer("memory", record, f"source {number}", None) == first
        assert world.contents(CAR_A) == before


async def test_a_nodes_own_words_said_to_it_mean_nothing() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(20))
        links, before = world.nodes[CAR_A]._links, world.contents(CAR_A)
        record = deal.link.session.seal(pack([await deal.accept()]))
        answer = await links._answer("memory", record, "peer", None)
        assert answer is not None
        after = world.contents(CAR_A)
        assert await links._answer("memory", answer, "mirror", None) is None
        assert world.contents(CAR_A) == after != before


async def test_a_storm_of_control_messages_before_power_is_bounded_and_told() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(60))
        await deal.ask(await deal.accept())
        before = world.contents(CAR_A)
        for seq in range(1, STORM):
            word = Pause(seq, seq % 2 == 0) if seq % 3 else PowerLimit(seq, 10_000_000)
            assert await deal.ask(Plain(word)) == []
        assert world.contents(CAR_A) == before
        [delivering] = world.nodes[CAR_A]._desk.deliveries.running.values()
        assert delivering.machine.deadline_ms() is not None
        await deal.ask(await deal.entry(Void(deal.request.provider, 0, Reason.WITHDRAWN), b""))
        await world.heard(CAR_A, "finished")
        world.check()


async def test_a_node_whose_own_key_comes_to_it_is_silent() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        thief = replace(who, identity=world.nodes[CAR_A]._links._identity)
        thief.links._identity = thief.identity
        for key in (None, world.key(CAR_A)):
            with pytest.raises(PeerError) as refused:
                await thief.dial(CAR_A, Plain(Resume(NOBODY)), key=key)
            assert refused.value.code == "own_identity"
