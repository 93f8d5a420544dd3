"""Ways tried in waves, on a clock that jumps to the next thing to happen."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import pytest

from tests.support.virtual_time import VirtualTimeLoop
from v2xnode.trading.race import HEAD_START_S, Race, Wave


@dataclass(slots=True)
class Ways:
    """Notes when each way began, and what became of it."""

    began_s: dict[str, float] = field(default_factory=dict)
    given_up: list[str] = field(default_factory=list)
    given_back: list[str] = field(default_factory=list)
    ended_s: float = 0.0

    def way(
        self, name: str, takes_s: float, *, works: bool = True, stubborn: bool = False
    ) -> Callable[[], Awaitable[str | None]]:
        """stubborn: it wins in the very moment in which it is given up."""

        async def go() -> str | None:
            self.began_s[name] = _now_s()
            try:
                await asyncio.sleep(takes_s)
            except asyncio.CancelledError:
                self.given_up.append(name)
                if not stubborn:
                    raise
            return name if works else None

        return go

    async def leave(self, won: str) -> None:
        self.given_back.append(won)

    def play(self, *waves: Wave[str], more: Callable[[], Awaitable[Iterable[Wave[str]]]] | None = None) -> str | None:
        async def story() -> str | None:
            won = await Race(self.leave).run(waves, more() if more is not None else None)
            self.ended_s = _now_s()
            await cleared()
            return won

        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            return runner.run(story())


async def cleared() -> None:
    """Until nothing of a race runs any more."""
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def test_the_better_way_wins_alone_where_it_works_within_its_head_start() -> None:
    ways = Ways()
    assert ways.play([ways.way("good", HEAD_START_S - 0.1)], [ways.way("dear", 0)]) == "good"
    assert ways.began_s == {"good": 0}


def test_a_way_that_hangs_costs_the_head_start_and_no_more() -> None:
    ways = Ways()
    assert ways.play([ways.way("dead", 60)], [ways.way("dear", 0.2)]) == "dear"
    assert ways.ended_s == pytest.approx(HEAD_START_S + 0.2)
    assert ways.given_up == ["dead"]


def test_a_way_that_fails_lets_the_next_begin_at_once() -> None:
    ways = Ways()
    assert ways.play([ways.way("gone", 0.1, works=False)], [ways.way("dear", 0.2)]) == "dear"
    assert ways.ended_s == pytest.approx(0.3)


def test_a_wave_goes_on_while_one_of_it_is_left() -> None:
    ways = Ways()
    gone, slow = ways.way("gone", 0.1, works=False), ways.way("slow", 1.0)
    assert ways.play([gone, slow], [ways.way("dear", 0)]) == "slow"
    assert "dear" not in ways.began_s


def test_what_is_found_meanwhile_is_tried_after_what_was_known() -> None:
    ways = Ways()

    async def found() -> list[Wave[str]]:
        await asyncio.sleep(1)
        return [[ways.way("found", 0.2)]]

    assert ways.play([ways.way("gone", 0.1, works=False)], more=found) == "found"
    assert ways.began_s["found"] == pytest.approx(1)


def test_when_all_fail_there_is_nothing() -> None:
    ways = Ways()

    async def found() -> list[Wave[str]]:
        return [[], [ways.way("found", 0.2, works=False)]]

    assert ways.play([ways.way("gone", 0.1, works=False)], [], more=found) is None
    assert ways.play() is None


def test_what_a_loser_got_in_the_last_moment_is_given_back() -> None:
    ways = Ways()
    assert ways.play([ways.way("first", 1), ways.way("second", 1), ways.way("third", 9, stubborn=True)]) in (
        "first",
        "second",
    )
    assert len(ways.given_back) == 2


def test_nothing_goes_on_behind_a_race_that_is_called_off() -> None:
    ways = Ways()

    async def forever() -> list[Wave[str]]:
        await asyncio.sleep(3600)
        return []

    async def story() -> set["asyncio.Task[None]"]:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await Race(ways.leave).run([[ways.way("a", 60)], [ways.way("b", 60, stubborn=True)]], forever())
        await cleared()
        return asyncio.all_tasks() - {asyncio.current_task()}

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(story()) == set()
    assert sorted(ways.given_up) == ["a", "b"]
    assert ways.given_back == ["b"]


def test_a_way_that_raises_ends_the_race_with_its_error() -> None:
    ways = Ways()

    async def broken() -> str | None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ways.play([broken, ways.way("a", 60)])
    assert ways.given_up == ["a"]


def test_the_winner_does_not_wait_for_a_loser_that_takes_its_time_to_end() -> None:
    ways = Ways()

    async def slow() -> str | None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(5)
        return None

    assert ways.play([slow, ways.way("quick", 0.5)]) == "quick"
    assert ways.ended_s == pytest.approx(0.5)
