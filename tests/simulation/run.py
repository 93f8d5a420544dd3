"""Runs seeds: `python -m tests.simulation.run FROM SEEDS [JOBS]`. A failure prints how to run it again.

With TRACE in the environment the trace of each seed is printed.
"""

import asyncio
import hashlib
import itertools
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

from tests.simulation.invariants import Broken, check
from tests.simulation.plan import plan
from tests.simulation.world import World
from tests.support.virtual_time import VirtualTimeLoop


@dataclass(frozen=True, slots=True)
class Outcome:
    """One seed's run. broken: "" where all invariants held."""

    seed: int
    broken: str
    sessions: int
    crashes: bool
    trace: tuple[str, ...]

    @property
    def digest(self) -> str:
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()


class NumberedTask(asyncio.Task[Any]):
    """asyncio keeps tasks in sets. Numbered, they are in the order of their making there, not of their addresses: a
    group that ends cancels its tasks in the same order in each run."""

    def __init__(self, number: int, *args: Any, **more: Any) -> None:
        self._number = number
        super().__init__(*args, **more)

    def __hash__(self) -> int:
        return self._number


def make_loop() -> VirtualTimeLoop:
    """A loop on which the same happens again."""
    loop, numbers = VirtualTimeLoop(), itertools.count()
    loop.set_task_factory(lambda loop, coro, **more: NumberedTask(next(numbers), coro, loop=loop, **more))
    return loop


Make = Callable[[int], World]


def make(seed: int) -> World:
    """The world of a seed."""
    return World(seed, plan(seed))


def play(seed: int, of: Make = make) -> Outcome:
    """Run one seed to its end, and check."""
    world = of(seed)
    broken = ""
    with asyncio.Runner(loop_factory=make_loop) as runner:
        try:
            runner.run(_play(world))
        except Broken as problem:
            broken = str(problem)
    died = any("dies" in line or "kill" in line or "power_loss" in line for line in world.trace)
    return Outcome(seed, broken, len(world.drawn.purchases), died, tuple(world.trace))


async def _play(world: World) -> None:
    try:
        await world.happen()
        world.trace += _heads(world)
        check(world)
    finally:
        await world.end()


def _heads(world: World) -> Iterator[str]:
    """The newest entry of each chain: its hash stands for all that was ever written."""
    for body in world.bodies.values():
        if body.life is not None:
            head = body.life.writer.ledger.transact(lambda view: view.head())
            yield f"{body.name} wrote {head.entry.seq + 1} entries, {head.hash.hex()}" if head else body.name


def outcomes(first: int, seeds: int, jobs: int) -> Iterator[Outcome]:
    """Of seeds from the first on, in as many processes."""
    every = range(first, first + seeds)
    if jobs == 1:
        yield from map(play, every)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(play, every, chunksize=4)


def main(first: int, seeds: int, jobs: int) -> int:
    """Print what broke; the exit code."""
    began_s, counted, failed = time.monotonic(), Counter[str](), 0
    for outcome in outcomes(first, seeds, jobs):
        counted["sessions"] += outcome.sessions
        counted["sessions with crashes"] += outcome.sessions if outcome.crashes else 0
        if os.environ.get("TRACE"):
            print("\n".join(outcome.trace))
        if outcome.broken:
            failed += 1
            print(f"seed {outcome.seed}: {outcome.broken}; again: make simulate FROM={outcome.seed} SEEDS=1 TRACE=1")
            sys.stdout.flush()
    took_s = time.monotonic() - began_s
    told = ", ".join(f"{number} {name}" for name, number in counted.items())
    print(f"{seeds} seeds from {first}: {told}; {failed} broken; {took_s:.0f} s, {seeds / took_s:.1f} seeds a second")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1))
