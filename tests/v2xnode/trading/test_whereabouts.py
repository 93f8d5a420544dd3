"""Where peers were reached, across restarts, and which of their places comes first."""

from tests.support.node_books import table
from v2xnode.clock import real_clock
from v2xnode.events import EventLog
from v2xnode.trading.books import Books
from v2xnode.trading.whereabouts import DOCUMENT, ILL_MS, MAX_ADDRESS_CHARS, MAX_PEERS, MAX_PLACES, Place, Whereabouts

PEER, OTHER = b"p" * 32, b"q" * 32
COAP, BLE, LIBP2P = (
    Place("coap", "192.0.2.7:5701"),
    Place("ble", "C0:00:00:00:00:01"),
    Place("libp2p", "/ip4/192.0.2.7"),
)


class Time:
    """Link time that stands still until a test moves it."""

    ms = 0

    def __call__(self) -> int:
        return self.ms


def whereabouts(books: Books, link_ms: Time | None = None) -> Whereabouts:
    return Whereabouts(books, EventLog(real_clock()), ("coap", "ble", "libp2p"), link_ms or Time())


async def test_a_peer_is_where_it_was_reached_last_also_after_a_restart() -> None:
    async with table() as world:
        places = whereabouts(world.client.books)
        await places.load()
        assert places.of(PEER) == []
        await places.reached(PEER, Place("coap", "192.0.2.1:5701"))
        await places.reached(PEER, BLE)
        await places.reached(PEER, COAP)
        again = whereabouts(world.client.books)
        await again.load()
        assert again.of(PEER) == [COAP, BLE]


async def test_a_peer_that_moves_to_the_other_bearer_and_back_is_found_there_first() -> None:
    async with table() as world:
        places = whereabouts(world.client.books)
        await places.reached(PEER, BLE)
        await places.reached(PEER, COAP)
        await places.reached(PEER, BLE)
        again = whereabouts(world.client.books)
        await again.load()
        assert again.of(PEER) == places.of(PEER) == [BLE, COAP]


async def test_the_peer_reached_longest_ago_is_forgotten_first() -> None:
    async with table() as world:
        places = whereabouts(world.client.books)
        longest = [Place(f"bearer {number}", "a" * MAX_ADDRESS_CHARS) for number in range(MAX_PLACES)]
        for number in range(MAX_PEERS + 1):
            for place in longest:
                await places.reached(number.to_bytes(32, "big"), place)
        assert places.of(bytes(32)) == []
        assert places.of((1).to_bytes(32, "big")) == longest[::-1]
        await places.reached((1).to_bytes(32, "big"), BLE)
        await places.reached(OTHER, COAP)
        assert places.of((1).to_bytes(32, "big"))[0] == BLE
        assert len(places.of((1).to_bytes(32, "big"))) == MAX_PLACES
        assert places.of((2).to_bytes(32, "big")) == []


async def test_an_address_without_end_is_not_kept() -> None:
    async with table() as world:
        places = whereabouts(world.client.books)
        await places.reached(PEER, BLE)
        await places.reached(PEER, Place("coap", "a" * (MAX_ADDRESS_CHARS + 1)))
        assert places.of(PEER) == [BLE]


async def test_a_damaged_document_counts_as_none() -> None:
    async with table() as world:
        for damaged in (b"", b"\xff", b"\x81\x01", b"\x81\x83\x01\x02\x03"):
            await world.client.books.put(DOCUMENT, damaged)
            places = whereabouts(world.client.books)
            await places.load()
            assert places.of(PEER) == []


async def test_the_cheapest_bearer_comes_first_and_one_that_failed_for_this_peer_last() -> None:
    async with table() as world:
        time = Time()
        places = whereabouts(world.client.books, time)
        unknown, second = Place("lora", "7"), Place("coap", "192.0.2.8:5701")
        heard = [unknown, LIBP2P, COAP, BLE, second]
        assert places.waves(PEER, heard) == [[COAP, second], [BLE], [LIBP2P], [unknown]]
        places.failed(PEER, "coap")
        assert places.waves(PEER, heard) == [[BLE], [LIBP2P], [unknown], [COAP, second]]
        assert places.waves(OTHER, heard)[0] == [COAP, second]
        time.ms += 1
        places.failed(PEER, "ble")
        assert places.waves(PEER, heard) == [[LIBP2P], [unknown], [COAP, second], [BLE]]


async def test_a_failed_bearer_is_trusted_again_after_a_while_or_once_the_peer_is_reached_there() -> None:
    async with table() as world:
        time = Time()
        places = whereabouts(world.client.books, time)
        places.failed(PEER, "coap")
        time.ms += ILL_MS - 1
        assert places.waves(PEER, [COAP, BLE]) == [[BLE], [COAP]]
        time.ms += 1
        assert places.waves(PEER, [COAP, BLE]) == [[COAP], [BLE]]
        places.failed(PEER, "coap")
        await places.reached(PEER, COAP)
        assert places.waves(PEER, [COAP, BLE]) == [[COAP], [BLE]]


async def test_failures_remembered_are_bounded() -> None:
    async with table() as world:
        places = whereabouts(world.client.books)
        for number in range(MAX_PEERS + 1):
            places.failed(number.to_bytes(32, "big"), "coap")
        assert places.waves(bytes(32), [COAP, BLE]) == [[COAP], [BLE]]
        assert places.waves((1).to_bytes(32, "big"), [COAP, BLE]) == [[BLE], [COAP]]
