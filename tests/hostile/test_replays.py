"""What was heard once and is said again, thousands of times: nothing durable changes, and memory stays bounded."""

import secrets
from pathlib import Path

from market.errors import Reason
from market.terms import Alive, Decline, Resume
from tests.support.node_pair import Town, propose, stranger, town, wish
from transports.acceptor import Limits
from transports.secure import Dialer
from v2xnode.config import DATABASE_FILE
from v2xnode.envelope import Plain, pack, read, sign_letter
from v2xnode.links import Links
from v2xnode.trading.shop import MAX_REQUESTS_OF_PEER

CAR_A = "car_a"
TIMES = 10_000


def database(world: Town, place: str) -> dict[str, bytes]:
    """Every byte of a node's database files."""
    folder: Path = world.data(place)
    return {
        path.name: path.read_bytes() for path in sorted(folder.glob(DATABASE_FILE + "*")) if "-shm" not in path.name
    }


def links_of(world: Town, place: str) -> Links:
    return world.nodes[place]._links


async def test_ten_thousand_replayed_openings_change_no_byte_of_the_database() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        links = links_of(world, CAR_A)
        hello = (await who.links._greet(None)).hello
        openings = []
        for _ in range(20):
            letter = sign_letter(who.identity.signer, wish(20).request_to(world.key(CAR_A), secrets.token_bytes(16)))
            dialer = Dialer(who.identity.seed, remote=world.key(CAR_A))
            openings.append(dialer.first(pack([Plain(hello), letter])))
        await links._answer("memory", openings[0], "somewhere", None)
        before = database(world, CAR_A)
        for number in range(TIMES):
            await links._answer("memory", openings[number % len(openings)], f"source{number % 500}", None)
        assert database(world, CAR_A) == before
        assert len(links._accepted) <= Limits().fresh
        assert len(world.nodes[CAR_A]._desk.shop._sales) <= MAX_REQUESTS_OF_PEER
        honest = await propose(world, who, CAR_A, wish(20))
        assert not isinstance(honest.answer.message, Decline)


async def test_a_resume_that_is_replayed_moves_nothing_and_one_that_is_stale_begins_nothing() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        deal = await propose(world, who, CAR_A, wish(20))
        await deal.ask(await deal.accept())
        hello = (await who.links._greet(None)).hello
        opening = Dialer(who.identity.seed, remote=world.key(CAR_A)).first(pack([Plain(hello), Plain(Resume(deal.id))]))
        link = links_of(world, CAR_A)
        for number in range(200):
            await link._answer("memory", opening, f"source{number}", None)
        [delivering] = world.nodes[CAR_A]._desk.deliveries.running.values()
        assert delivering.channel.link.session.local_id == deal.link.session.remote_id
        await world.nodes[CAR_A].stop()
        await world.heard(CAR_A, "finished")
        told, _ = await who.dial(CAR_A, Plain(Resume(deal.id)), key=world.key(CAR_A))
        said = [read(raw, told.context(who.identity.public, deal.id)) for raw in await told.ask([Plain(Alive(1, 0))])]
        assert [type(item.message).__name__ for item in said] == ["Void"], "the last word, and nothing begins"
        assert not world.nodes[CAR_A]._desk.deliveries.running


async def test_a_session_that_never_was_is_not_resumed() -> None:
    async with town(CAR_A) as world, stranger(world) as who:
        link, said = await who.dial(CAR_A, Plain(Resume(b"never was here..")), key=world.key(CAR_A))
        context = link.context(who.identity.public, b"never was here..")
        assert [read(raw, context).message for raw in said] == [Decline(b"never was here..", Reason.REQUEST_UNKNOWN)]
