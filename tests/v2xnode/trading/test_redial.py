"""Finding the provider of a session again among others who say that they are it."""

from typing import Any

import pytest

from market.units import Role
from tests.support.node_shop import seen, shop
from transports.memory import MemoryNetwork
from v2xnode.discovery import Heard
from v2xnode.errors import Unreachable
from v2xnode.trading.redial import MAX_SEEN, Redialling
from v2xnode.trading.whereabouts import Place, Whereabouts

PROVIDER, SESSION = b"p" * 32, b"s" * 16


async def test_copies_of_its_identifier_on_one_bearer_do_not_hide_it_on_another() -> None:
    dialled: list[Place] = []

    async def look() -> list[Heard]:
        copies = [seen(f"{number}", "ble", PROVIDER) for number in range(4 * MAX_SEEN)]
        return [*copies, seen("true", "memory", PROVIDER)]

    async def dial(bearer: str, address: str, *_: object) -> Any:
        dialled.append(Place(bearer, address))
        raise Unreachable("nobody is there")

    async with shop(2, role=Role.CLIENT) as client, client.on(MemoryNetwork(1), "client") as links:
        links.dial = dial  # type: ignore[method-assign, assignment]
        places = Whereabouts(client.books, client.events, ("ble", "memory"), client.watch.clock.link_ms)
        redialling = Redialling(links, client.events, client.books, places, look, client.identity.entropy)
        with pytest.raises(Unreachable):
            await redialling.resume(PROVIDER, SESSION, [Place("memory", "before")])
    assert dialled[0] == Place("memory", "before")
    assert Place("memory", "true") in dialled
    assert len([place for place in dialled if place.bearer == "ble"]) == MAX_SEEN
