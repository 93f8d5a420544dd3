"""What a provider pushes and answers, and what counts as seen."""

from market.terms import Alive, Plug, PlugStep, PowerState, Receipt, ResolvingKey, Status
from tests.support.node_books import table
from v2xnode.envelope import MAX_FRAME_BYTES, Item, Plain, pack
from v2xnode.trading.channel import MAX_OUTSTANDING
from v2xnode.trading.provider_channel import ProviderChannel

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
