import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from market.errors import Reason
from market.terms import Alive, Plug, PlugStep, PowerState, Receipt, ResolvingKey, Status, Stop
from tests.support.node_books import table
from v2xnode.clock import real_clock
from v2xnode.envelope import MAX_FRAME_BYTES, Item, Plain, pack
from v2xnode.events import EventLog
from v2xnode.trading.channel import MAX_ALIVES, MAX_OUTSTANDING, ClientChannel, ProviderChannel

KEY = Plain(ResolvingKey(bytes(16)))


class DeafLink:
    """An accepted link whose dialer has not subscribed, or has: it keeps what it is given."""

    def __init__(self, *, subscribed: bool = True, number: int = 0) -> None:
        self.is_subscribed = subscribed
        self.number = number
        self.pushed: list[tuple[list[Item], bool]] = []
        self.ended = False

    def push(self, items: list[Item], *, confirmed: bool) -> None:
        self.pushed.append((items, confirmed))

    def end(self) -> None:
        self.ended = True


def made(link: DeafLink) -> ProviderChannel:
    return ProviderChannel(link)  # type: ignore[arg-type]  # the two methods that it uses


def status(number: int) -> Status:
    return Status(number=number, delivered_wh=0, power_w=0, state=PowerState.OFF)


def plug(seq: int) -> Plain:
    return Plain(Plug(seq=seq, round=1, step=PlugStep.PATTERN, pattern=seq))


def test_what_is_sent_is_pushed_with_the_state_until_it_was_seen() -> None:
    link = DeafLink()
    channel = made(link)
    channel.send(KEY)
    assert link.pushed[-1] == ([Plain(status(0)), KEY], True)
    channel.push_status(status(1))
    assert KEY in link.pushed[-1][0]
    channel.heard_alive(Alive(0, 0))
    channel.push_status(status(2))
    assert KEY in link.pushed[-1][0], "the Status that came with it may have been lost"
    channel.heard_alive(Alive(1, 0))
    channel.push_status(status(3))
    assert link.pushed[-1] == ([Plain(status(3))], False)


def test_a_status_that_was_never_said_proves_nothing() -> None:
    link = DeafLink()
    channel = made(link)
    channel.send(KEY)
    channel.push_status(status(1))
    channel.heard_alive(Alive(7, 0))
    channel.push_status(status(2))
    assert KEY in link.pushed[-1][0], "that was a Status from before a restart"


def test_a_newer_control_message_takes_the_place_of_the_older() -> None:
    link = DeafLink()
    channel = made(link)
    channel.send(plug(1))
    channel.send(KEY)
    channel.send(plug(2))
    assert channel.state_items() == [Plain(status(0)), KEY, plug(2)]


def test_an_answer_carries_what_was_sent_meanwhile_and_nothing_is_pushed_then() -> None:
    link = DeafLink()
    channel = made(link)
    channel.begin_answer()
    channel.send(KEY)
    assert link.pushed == []
    assert channel.end_answer() == [KEY]
    channel.send(plug(1))
    assert len(link.pushed) == 1


def test_another_link_takes_over_and_the_old_one_ends() -> None:
    old, new = DeafLink(), DeafLink(number=1)
    channel = made(old)
    assert not channel.move(old)  # type: ignore[arg-type]
    assert not old.ended
    assert channel.move(new)  # type: ignore[arg-type]
    channel.send(KEY)
    assert (old.ended, old.pushed, len(new.pushed)) == (True, [], 1)


def test_a_frame_of_the_link_before_takes_nothing_back() -> None:
    old, new = DeafLink(), DeafLink(number=1)
    channel = made(old)
    channel.move(new)  # type: ignore[arg-type]
    assert not channel.move(old)  # type: ignore[arg-type]
    channel.send(KEY)
    assert (new.ended, len(new.pushed), old.pushed) == (False, 1, [])


def test_the_first_link_of_a_session_from_before_a_restart_is_none_that_was_moved() -> None:
    channel = ProviderChannel(None)
    assert not channel.move(DeafLink())  # type: ignore[arg-type]


def test_what_nobody_listened_to_was_not_shown() -> None:
    link = DeafLink(subscribed=False)
    channel = made(link)
    channel.send(KEY)
    for number in range(1, 9):
        channel.push_status(status(number))
    assert link.pushed == []
    assert channel.heard_alive(Alive(5, 0)) == []
    link.is_subscribed = True
    channel.push_status(status(9))
    assert link.pushed == [([Plain(status(9)), KEY], True)]


def test_what_was_pushed_over_the_last_link_has_to_be_shown_again_on_the_new_one() -> None:
    old, new = DeafLink(), DeafLink()
    channel = made(old)
    channel.send(KEY)
    channel.push_status(status(1))
    channel.push_status(status(2))
    channel.move(new)  # type: ignore[arg-type]
    channel.heard_alive(Alive(2, 0))
    channel.push_status(status(3))
    assert KEY in new.pushed[-1][0]
    channel.heard_alive(Alive(3, 0))
    channel.push_status(status(4))
    assert KEY in new.pushed[-1][0], "nothing says that it was seen after 3"
    channel.heard_alive(Alive(4, 0))
    channel.push_status(status(5))
    assert KEY not in new.pushed[-1][0]


async def test_the_same_entry_is_said_once_however_often_it_is_asked_for() -> None:
    async with table() as world:
        confirm = await world.agree()
        channel = made(DeafLink())
        first = await world.interval(0, confirm.digest)
        channel.send(first)
        channel.send(first)
        assert channel.state_items() == [Plain(status(0)), first]


async def test_what_did_not_fit_into_the_frame_does_not_count_as_seen() -> None:
    async with table() as world:
        confirm = await world.agree()
        entries = []
        for number in range(12):
            interval = await world.interval(number, confirm.digest)
            said = Receipt(world.provider.key, number, 0, 0, (2**40,) * 8)
            entries.append(await world.by(world.client, said, interval.digest))
        link = DeafLink()
        channel = made(link)
        for entry in entries:
            channel.send(entry)
        shown = channel.state_items()
        assert 1 < len(shown) < len(entries)
        assert len(pack(shown)) <= MAX_FRAME_BYTES
        channel.push_status(status(1))
        seen = channel.heard_alive(Alive(1, 0))
        assert seen == [entry.digest for entry in entries[: len(shown) - 1]]
        assert channel.state_items()[1] == entries[len(shown) - 1]


async def test_outstanding_messages_are_bounded_and_an_answered_entry_leaves() -> None:
    async with table() as world:
        confirm = await world.agree()
        channel = made(DeafLink(subscribed=False))
        first = await world.interval(0, confirm.digest)
        channel.send(first)
        assert first in channel.state_items()
        channel.acknowledged(b"")
        assert first in channel.state_items()
        channel.acknowledged(first.digest)
        assert first not in channel.state_items()
        for number in range(MAX_OUTSTANDING + 5):
            channel.send(await world.interval(number + 1, confirm.digest))
        assert len(channel._outstanding) == MAX_OUTSTANDING


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
