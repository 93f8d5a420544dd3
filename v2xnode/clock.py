"""World time and link time.

World time gives stamps, tariffs, physics, intervals, silence, permits and ttls; it can run faster than real time, so
that a demonstration of minutes fits in seconds. Link time is always real: retransmission, handshakes, redialling.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from v2xnode.errors import ConfigError

PERMIT_LIFE_MS = 3_000
"""Default life of a power permit in world time (safety rules)."""
MIN_REAL_PERMIT_MS = 250
"""A permit must live at least this long in real time, or an ordinary pause of the machine would open contactors."""
MAX_SPEED = PERMIT_LIFE_MS // MIN_REAL_PERMIT_MS


@dataclass(frozen=True, slots=True)
class Clock:
    """Reads both times. Processes that share one world share `world_origin_ms` and `real_origin_ms`.

    speed: world seconds a real second, 1 to 12. The sources are replaced by a virtual loop's time in tests.
    """

    speed: int = 1
    world_origin_ms: int = 0
    real_origin_ms: int = 0
    real_wall_s: Callable[[], float] = field(default=time.time)
    real_monotonic_s: Callable[[], float] = field(default=time.monotonic)

    def __post_init__(self) -> None:
        if not 1 <= self.speed <= MAX_SPEED:
            raise ConfigError(
                f"A speed of {self.speed} is refused: a power permit of {PERMIT_LIFE_MS} ms would live under "
                f"{MIN_REAL_PERMIT_MS} ms of real time. 1 to {MAX_SPEED} are possible."
            )

    def wall_ms(self) -> int:
        """UTC milliseconds of the world; may jump when the machine's clock is set."""
        return self.world_origin_ms + int((self.real_wall_s() * 1000 - self.real_origin_ms) * self.speed)

    def monotonic_ms(self) -> int:
        """World milliseconds that never go back; for deadlines."""
        return int(self.real_monotonic_s() * 1000 * self.speed)

    def link_ms(self) -> int:
        """Real monotonic milliseconds; for the link layer alone."""
        return int(self.real_monotonic_s() * 1000)

    async def sleep_until(self, monotonic_ms: int) -> None:
        """Wait until a moment of world time (at once if it has passed)."""
        await self.sleep_ms(monotonic_ms - self.monotonic_ms())

    async def sleep_ms(self, world_ms: int) -> None:
        """Wait for a span of world time."""
        await asyncio.sleep(max(0, world_ms) / 1000 / self.speed)


def real_clock(speed: int = 1, world_start_ms: int | None = None) -> Clock:
    """A clock that starts now: at the machine's own time, or at `world_start_ms` of UTC."""
    now_ms = int(time.time() * 1000)
    return Clock(speed, now_ms if world_start_ms is None else world_start_ms, now_ms)


def loop_clock(loop: asyncio.AbstractEventLoop, world_start_ms: int, speed: int = 1) -> Clock:
    """A clock driven by an event loop's own time, for a loop that skips the waiting."""
    return Clock(speed, world_start_ms, 0, loop.time, loop.time)


CLOCK_SANE_AFTER_MS = 1_735_689_600_000
"""2025-01-01: an earlier wall clock has not been set (a Pi without a battery boots in 1970)."""


def trusted(wall_ms: int) -> bool:
    """Whether the wall clock can be meant: no time-of-use price and no departure plan counts on one that can't."""
    return wall_ms >= CLOCK_SANE_AFTER_MS
