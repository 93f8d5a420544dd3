"""`v2xnode discover`: who is in reach on each bearer, once or for as long as one watches."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from v2xnode.cli.output import DataOption, JsonOption, Output
from v2xnode.control import command
from v2xnode.errors import Unreachable

if TYPE_CHECKING:
    from transports.interface import Pusher

GONE_S = 30.0
"""Who was not heard for so long is left out of what is followed."""

Look = dict[str, Any]
"""`bearers` and `sightings`, as the node's command answers."""


def register(app: typer.Typer) -> None:
    """Hang the command under the program."""
    app.command("discover")(discover)


def discover(
    data: DataOption,
    seconds: Annotated[float, typer.Option(min=0.1, max=60, help="How long to look.")] = 2.0,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until interrupted.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Who is in reach, on each bearer (asks the running node, or looks by itself when none runs)."""
    output = Output(as_json)
    window_ms = int(seconds * 1000)

    def work() -> None:
        if follow:
            with _following(as_json) as show:
                asyncio.run(_follow(data, window_ms, show))
        found = asyncio.run(_once(data, window_ms))
        for line in Around().heard(found):
            output.say(line)
        output.result(found)

    output.guarded(work)


# looking


async def _once(data: Path, window_ms: int) -> Look:
    looks = _looks(data, window_ms)
    try:
        return await anext(looks)
    finally:
        await looks.aclose()


async def _follow(data: Path, window_ms: int, show: Callable[[Look], None]) -> None:
    async for found in _looks(data, window_ms):
        show(found)


async def _looks(data: Path, window_ms: int) -> AsyncGenerator[Look]:
    """One look after the other: the running node's, or our own."""
    try:
        yield await _asked(data, window_ms)
    except Unreachable:
        async with _alone(data) as look:
            while True:
                yield await look(window_ms)
    while True:
        yield await _asked(data, window_ms)


async def _asked(data: Path, window_ms: int) -> Look:
    found: Look = await command(data, "discover", {"window_ms": window_ms})
    return found


@asynccontextmanager
async def _alone(data: Path) -> AsyncIterator[Callable[[int], Awaitable[Look]]]:
    """Looks on the configured bearers without a node: nobody hears or knows us."""
    from v2xnode.bearers import open_bearers
    from v2xnode.clock import real_clock
    from v2xnode.config import CONFIG_FILE, Config, load_config
    from v2xnode.discovery import look_around
    from v2xnode.events import EventLog
    from v2xnode.keeping import kept_open

    config = load_config(data) if (data / CONFIG_FILE).exists() else Config()
    transports = open_bearers(config)
    events = EventLog(real_clock())
    async with kept_open(transports.values(), lambda _: _Deaf(), events) as keepers:

        async def look(window_ms: int) -> Look:
            found = await look_around(transports.values(), window_ms, {}, events)
            now_ms = _now_ms()
            bearers = {each.transport.name: each.as_json() for each in keepers}
            return {"bearers": bearers, "sightings": [heard.as_json(now_ms) for heard in found]}

        yield look


class _Deaf:
    """Answers nobody."""

    async def answer(self, frame: bytes, source: str) -> bytes | None:
        return None

    async def subscribed(self, frame: bytes, source: str, pusher: "Pusher") -> bytes | None:
        return None


# telling


@dataclass(slots=True)
class Around:
    """Who was heard at which address, and when last (real monotonic milliseconds)."""

    bearers: dict[str, Any] = field(default_factory=dict)
    _heard: dict[tuple[str, str], tuple[int, Look]] = field(default_factory=dict)

    def hear(self, found: Look) -> None:
        """Add a look; who was not heard for `GONE_S` is forgotten."""
        now_ms = _now_ms()
        self.bearers = found["bearers"]
        for each in found["sightings"]:
            self._heard[each["bearer"], each["address"]] = (now_ms - each["age_ms"], each)
        gone = [place for place, (at_ms, _) in self._heard.items() if now_ms - at_ms > GONE_S * 1000]
        for place in gone:
            del self._heard[place]

    def heard(self, found: Look) -> Iterator[str]:
        """The lines after one more look."""
        self.hear(found)
        return self.lines()

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Bearer, address, who, what is offered, signal, age."""
        now_ms = _now_ms()
        for (bearer, address), (at_ms, each) in sorted(self._heard.items()):
            yield (
                bearer,
                address,
                each["peer"][:12] if each["peer"] else "unknown",
                " ".join(each["provides"]) or ("coordinator" if each["coordinator"] else "nothing"),
                "" if each["signal_dbm"] is None else f"{each['signal_dbm']} dBm",
                f"{max(0, now_ms - at_ms) / 1000:.1f} s ago",
            )

    def lines(self) -> Iterator[str]:
        """For people: a line for each that is heard, and one for each bearer that is not open."""
        rows = list(self.rows())
        for bearer, address, who, offers, signal, age in rows:
            yield f"{bearer:7} {address:22} {who:12} offers {offers:16} {signal:8} {age}"
        if not rows:
            yield "Nobody was heard."
        yield from self.closed()

    def closed(self) -> Iterator[str]:
        """A line for each bearer that is not open."""
        for name, told in self.bearers.items():
            if told["problem"] is not None:
                yield f"{name:7} is not open: {told['problem']['sentence']}"


@contextmanager
def _following(as_json: bool) -> Generator[Callable[[Look], None], None, None]:
    """How looks are shown one after the other: a JSON object a line; a table that stays in its place on a terminal;
    lines elsewhere."""
    around = Around()
    if as_json:
        yield lambda found: print(json.dumps(found), flush=True)
    elif sys.stdout.isatty():
        with _table(around) as show:
            yield show
    else:
        yield lambda found: print(*around.heard(found), "", sep="\n", flush=True)


@contextmanager
def _table(around: Around) -> Generator[Callable[[Look], None], None, None]:
    from rich.console import Group
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    with Live(auto_refresh=False) as live:

        def show(found: Look) -> None:
            around.hear(found)
            table = Table("bearer", "address", "who", "offers", "signal", "heard")
            for row in around.rows():
                table.add_row(*map(Text, row))
            live.update(Group(table, *map(Text, around.closed())), refresh=True)

        yield show


def _now_ms() -> int:
    return int(time.monotonic() * 1000)
