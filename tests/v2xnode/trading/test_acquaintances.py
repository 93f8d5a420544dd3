"""Peers once met: known again after a restart, within bounds, and nobody where the document is damaged."""

import pytest

from tests.support.node_shop import shop
from v2xnode.trading.acquaintances import DOCUMENT, MAX_ACQUAINTANCES, Acquaintances

ANNA, KEY, OTHER_KEY = b"a" * 32, b"k" * 16, b"o" * 16


async def test_a_peer_that_was_met_is_known_after_a_restart_with_its_newest_key() -> None:
    async with shop() as side:
        await side.acquaintances.met(ANNA, KEY)
        await side.acquaintances.met(ANNA, OTHER_KEY)
        again = Acquaintances(side.books)
        assert not again.knows(ANNA)
        await again.load()
        assert again.knows(ANNA)
        assert again.keys == {ANNA: OTHER_KEY}


async def test_a_full_house_forgets_whom_it_has_met_longest_ago() -> None:
    async with shop() as side:
        crowd = b"".join(number.to_bytes(32, "big") + KEY for number in range(MAX_ACQUAINTANCES))
        await side.books.put(DOCUMENT, crowd)
        await side.acquaintances.load()
        await side.acquaintances.met((0).to_bytes(32, "big"), OTHER_KEY)  # met again: the newest now
        await side.acquaintances.met(ANNA, KEY)
        assert len(side.acquaintances.keys) == MAX_ACQUAINTANCES
        assert side.acquaintances.knows((0).to_bytes(32, "big"))
        assert not side.acquaintances.knows((1).to_bytes(32, "big"))


@pytest.mark.parametrize("left", [1, 47, 49])
async def test_a_damaged_document_is_none(left: int) -> None:
    async with shop() as side:
        await side.books.put(DOCUMENT, (ANNA + KEY + ANNA + KEY)[:left])
        await side.acquaintances.load()
        assert side.acquaintances.keys == {}
