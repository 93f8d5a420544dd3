"""What a client asks and hears, over one link and over the next."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from market.errors import Reason
from market.terms import Alive, Stop
from v2xnode.clock import real_clock
from v2xnode.envelope import Item, Plain
from v2xnode.events import EventLog
from v2xnode.trading.client_channel import MAX_ALIVES, ClientChannel


class LosingLink:
    """A dialled link that answers nothing: every question waits until it is given up. pushed: what comes by itself."""

    def __init__(self) -> None:
        self.asked: list[list[Item]] = []
        self.given_up = 0
        self.pushed: asyncio.Queue[Any] = asyncio.Queue()
        self.subscribed = asyncio.Event()
        self.closed = asyncio.Event()

    async def ask(self, items: list[Item], **_: Any) -> list[Any]:
        self.asked.append(items)
        try:
            return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]
        except asyncio.CancelledError:
            self.given_up += 1
            raise

    @asynccontextmanager
    async def pushes(self) -> AsyncIterator[AsyncIterator[Any]]:
        async def told() -> AsyncIterator[Any]:
            while (items := await self.pushed.get()) is not None:
                yield items

        self.subscribed.set()
        yield told()

    async def aclose(self) -> None:
        self.closed.set()
        await self.pushed.put(None)


@asynccontextmanager
async def running(
    link: LosingLink, heard: list[Any] | None = None, lost: Callable[[], None] = lambda: None
) -> AsyncIterator[ClientChannel]:
    """A client's channel at work."""
    hear = (lambda _: None) if heard is None else heard.append
    channel = ClientChannel(cast(Any, link), EventLog(real_clock()), hear, lambda _: None, lost)
    task = asyncio.create_task(channel.run())
    await link.subscribed.wait()
    try:
        yield channel
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_signs_of_life_do_not_wait_behind_what_got_lost() -> None:
    link = LosingLink()
    async with running(link) as channel:
        channel.send(Plain(Stop(1, Reason.SILENCE)))
        for number in range(MAX_ALIVES + 3):
            channel.send(Plain(Alive(number, 0)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        alives = [items for items in link.asked if isinstance(items[0].message, Alive)]
        assert len(alives) == MAX_ALIVES + 3, "each went out at once"
        assert link.given_up == 3, "and only the newest are waited for"


async def test_a_sign_of_life_goes_over_the_link_whose_state_it_names() -> None:
    old, new = LosingLink(), LosingLink()
    async with running(old) as channel:
        said = Plain(Alive(12, 0))
        channel.send(said)
        channel.move(cast(Any, new))
        await new.subscribed.wait()
        assert [said] in old.asked
        assert new.asked == []


async def test_after_a_move_nothing_is_heard_of_the_old_link_and_it_is_closed() -> None:
    old, new, heard = LosingLink(), LosingLink(), list[Any]()
    async with running(old, heard) as channel:
        await old.pushed.put(["before"])
        while not heard:  # noqa: ASYNC110  # as many turns of the loop as it takes
            await asyncio.sleep(0)
        channel.move(cast(Any, new))
        await old.pushed.put(["late"])
        await new.pushed.put(["after"])
        await old.closed.wait()
        while len(heard) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert heard == [["before"], ["after"]]
    assert new.closed.is_set()


async def test_links_that_were_left_are_closed_also_where_the_channel_never_ran() -> None:
    links = [LosingLink() for _ in range(3)]
    channel = ClientChannel(None, EventLog(real_clock()), lambda _: None, lambda _: None, lambda: None)
    for link in links:
        channel.move(cast(Any, link))
    task = asyncio.create_task(channel.run())
    await links[2].subscribed.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert all(link.closed.is_set() for link in links)


async def test_a_subscription_that_ends_is_missed_unless_its_link_was_left() -> None:
    old, new, lost = LosingLink(), LosingLink(), asyncio.Event()
    async with running(old, lost=lost.set) as channel:
        channel.move(cast(Any, new))
        await old.closed.wait()
        await new.subscribed.wait()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not lost.is_set(), "the link that was left may end"
        await new.pushed.put(None)
        async with asyncio.timeout(2):
            await lost.wait()
