"""Where peers were last reached, across restarts."""

from tests.support.node_books import table
from v2xnode.trading.whereabouts import DOCUMENT, MAX_PLACES, Whereabouts


async def test_a_peer_is_where_it_was_reached_last_also_after_a_restart() -> None:
    async with table() as world:
        places = Whereabouts(world.client.books)
        await places.load()
        assert places.of(b"p" * 32) is None
        await places.reached(b"p" * 32, "coap", "192.0.2.7:5701")
        await places.reached(b"p" * 32, "coap", "192.0.2.8:5701")
        again = Whereabouts(world.client.books)
        await again.load()
        assert again.of(b"p" * 32) == ("coap", "192.0.2.8:5701")


async def test_the_peer_reached_longest_ago_is_forgotten_first() -> None:
    async with table() as world:
        places = Whereabouts(world.client.books)
        for number in range(MAX_PLACES + 1):
            await places.reached(number.to_bytes(32, "big"), "coap", "a" * 60)
        assert places.of(bytes(32)) is None
        assert places.of((1).to_bytes(32, "big")) is not None
        await places.reached((1).to_bytes(32, "big"), "ble", "b")
        await places.reached(b"q" * 32, "coap", "c")
        assert places.of((1).to_bytes(32, "big")) == ("ble", "b")
        assert places.of((2).to_bytes(32, "big")) is None


async def test_a_damaged_document_counts_as_none() -> None:
    async with table() as world:
        for damaged in (b"", b"\xff", b"\x81\x01", b"\x81\x83\x01\x02\x03"):
            await world.client.books.put(DOCUMENT, damaged)
            places = Whereabouts(world.client.books)
            await places.load()
            assert places.of(b"p" * 32) is None
