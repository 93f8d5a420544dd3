"""Two nodes trade over 10 kbps and 300 ms each way, with and without loss: facts, not times.

How long it takes is what `python -m benchmarks.bad_links` measures.
"""

import asyncio
from pathlib import Path

import pytest

from tests.support.emulator import BadLink
from tests.support.slow_pair import slow_pair

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120), pytest.mark.usefixtures("namespaces")]


async def test_a_trade_settles_whatever_the_link_loses(directory: Path) -> None:
    async def play(loss_permille: int, known: bool) -> None:
        place = directory / str(loss_permille)
        place.mkdir()
        async with slow_pair(place, BadLink(loss_permille=loss_permille)) as pair:
            done = await pair.trade(known=known)
            await pair.at_rest()
            assert pair.settled(done["request_id"])
            assert pair.verified()
            assert done["receipts"] >= 1
            assert done["setup_round_trips"] >= (2 if known else 3)

    await asyncio.gather(play(0, False), play(100, True), play(200, False))  # at once, for they mostly wait
