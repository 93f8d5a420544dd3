"""Whom a node does not want to hear gets not one byte, and nobody can make it send much more than was sent to it."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from market.terms import Fee, FeeKind, Head, Hello, PriceKind, PriceStep, Resume
from tests.support.market_terms import offer, request
from tests.support.node_pair import Stranger, Town, propose, stranger, town, wish
from transports.secure import Accepted, Acceptor, Dialer, FrameKind, Visibility
from v2xnode.config import ElectricalSection
from v2xnode.envelope import Item, Letter, Plain, pack, sign_letter
from v2xnode.identity import Identity

CAR_A = "car_a"
AMPLIFIES = 3
"""RFC 9000, 8.1: what an address that proved nothing may be sent, in sizes of what it sent."""


@asynccontextmanager
async def shown(visibility: Visibility) -> AsyncIterator[tuple[Town, Stranger, list[bytes]]]:
    """A node of this visibility, a stranger, and frames that an open node would answer or look into."""
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(20))
        hello = Plain((await who.links._greet(None)).hello)
        letter = sign_letter(who.identity.signer, wish(20).request_to(world.key(CAR_A), secrets.token_bytes(16)))
        second: tuple[Item, ...] = (letter, Plain(Resume(deal.id)))
        known = [Dialer(who.identity.seed, remote=world.key(CAR_A)).first(pack([hello, each])) for each in second]
        unknown = [Dialer(who.identity.seed, remote=None).first() for _ in range(2)]
        noise = [Random(7).randbytes(size) for size in (1, 20, 37, 100, 4_096)]
        handshakes = [bytes([kind]) + Random(kind).randbytes(99) for kind in FrameKind]
        world.nodes[CAR_A]._links._acceptor.visibility = visibility
        yield world, who, [*known, *unknown, *noise, *handshakes]


@pytest.mark.parametrize("visibility", [Visibility.CLOSED, Visibility.KNOWN])
async def test_a_stranger_gets_no_byte_out_of_a_node_that_hides(visibility: Visibility) -> None:
    async with shown(visibility) as (world, _, frames):
        links, before = world.nodes[CAR_A]._links, world.contents(CAR_A)
        for frame in frames:
            assert await links._answer("memory", frame, "prober", None) is None
        assert world.contents(CAR_A) == before


async def test_the_same_frames_get_answers_from_an_open_node() -> None:
    async with shown(Visibility.OPEN) as (world, _, frames):
        answers = [await world.nodes[CAR_A]._links._answer("memory", frame, "prober", None) for frame in frames]
        assert [answer is not None for answer in answers] == [True] * 4 + [False] * (len(frames) - 4)
        for frame, answer in zip(frames, answers, strict=True):
            assert len(answer or b"") < AMPLIFIES * len(frame)


def longest_offer(provider: Identity) -> Letter:
    """A day of prices, each fee, every optional field, in as many bytes as they can take."""
    steps = tuple(PriceStep(29_000_000 + 60 * hour, 999_999_000 + hour) for hour in range(24))
    fees = tuple(Fee(kind, 10**9) for kind in FeeKind)
    said = offer(price_kind=PriceKind.TIME_OF_USE, price_steps=steps, fees=fees, tax_permyriad=2_500, number=3)
    return sign_letter(provider.signer, said)


def test_even_the_longest_offer_to_the_shortest_question_is_no_amplifier() -> None:
    """IK1 may come from anybody who recorded it, with a forged address."""
    provider, client = Identity.from_seed(b"\x01" * 32), Identity.from_seed(b"\x02" * 32)
    record = ElectricalSection(
        connectors=["CCS2"], profiles=["DC_BPT"], voltage_min_mv=0, voltage_max_mv=1_000, continuous_va=1
    ).record()
    hello = Hello(electrical=record, epoch=bytes(8))
    asked = sign_letter(client.signer, request(provider=provider.public))
    opening = Dialer(client.seed, remote=provider.public).first(pack([Plain(hello), asked]))
    host = Acceptor(provider.seed, visibility=Visibility.OPEN, known=lambda key: True)
    opened = host.receive(opening, "forged", 0)
    assert isinstance(opened, Accepted)
    greeting = Hello(electrical=record, epoch=bytes(8), holds=(Head(b"abcd", 2**40),))
    answer = opened.reply(pack([Plain(greeting), longest_offer(provider)]))
    assert len(answer) < AMPLIFIES * len(opening)
