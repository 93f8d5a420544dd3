from tests.support.node_books import table
from v2xnode.trading.acquaintances import DOCUMENT, MAX_ACQUAINTANCES, Acquaintances

PEER, KEY = b"p" * 32, b"k" * 16


async def test_who_was_met_is_known_in_the_next_life_too() -> None:
    async with table() as world:
        met = Acquaintances(world.client.books)
        assert not met.knows(PEER)
        await met.met(PEER, KEY)
        await met.met(PEER, b"n" * 16)
        again = Acquaintances(world.client.books)
        await again.load()
        assert (again.knows(PEER), dict(again.keys)) == (True, {PEER: b"n" * 16})


async def test_the_oldest_is_forgotten_first() -> None:
    async with table() as world:
        stored = b"".join(number.to_bytes(32, "big") + KEY for number in range(MAX_ACQUAINTANCES))
        await world.client.books.put(DOCUMENT, stored)
        met = Acquaintances(world.client.books)
        await met.load()
        await met.met(PEER, KEY)
        assert len(met.keys) == MAX_ACQUAINTANCES
        assert not met.knows(bytes(32))
        assert met.knows(PEER)


async def test_a_damaged_end_counts_as_none() -> None:
    async with table() as world:
        await world.client.books.put(DOCUMENT, PEER + KEY + b"half")
        met = Acquaintances(world.client.books)
        await met.load()
        assert list(met.keys) == [PEER]
