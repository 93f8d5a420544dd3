"""Claim: a node starts within a second, and rests in 1 % of a core and 80 MB.

A real process with CoAP, a ledger on disk and the devices of a simulated car, which nobody talks to while it is
watched. Linux only (/proc). `--idle-s N` to watch for longer.
"""

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Row, Table, median, publish
from tests.support.acts import V2V
from tests.support.commands import environment
from tests.support.processes import Scene, cast, scene
from v2xnode.errors import Unreachable

NAME = "node"
STARTS = 5
IMPORTS = 5
IDLE_S = 20.0
LOOK_S = 0.002
START_MS, IDLE_PERCENT, MEMORY_MB = 1_000, 1, 80
CLEAN_UP_S = 15.0


@dataclass(frozen=True, slots=True)
class Resting:
    """What a process took of a core while it was watched, in per cent, and what it holds at the end."""

    cpu_percent: float
    resident_mb: float
    own_mb: float


@dataclass(frozen=True, slots=True)
class Took:
    """Real time, and processor time, which another load on the machine changes less."""

    real_ms: float
    cpu_ms: float


def imported(module: str) -> Took:
    """A fresh interpreter that imports `module` and ends."""
    began_s, before_s = time.perf_counter(), _children_s()
    subprocess.run([sys.executable, "-c", f"import {module}"], env=environment(), check=True)
    return Took((time.perf_counter() - began_s) * 1000, (_children_s() - before_s) * 1000)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def started(stage: Scene, place: str) -> Took:
    """From a command line to the node's first answer."""
    began_s = time.perf_counter()
    await stage.start(place)
    while True:
        try:
            await stage.command(place, "status")
        except Unreachable:
            if stage.nodes[place].returncode is not None:
                raise
            await asyncio.sleep(LOOK_S)
        else:
            return Took((time.perf_counter() - began_s) * 1000, cpu_s(stage.nodes[place].pid) * 1000)


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, its threads and the kernel's work for it included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = fields[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident memory in all, and the part that is this process's alone."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kb = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines) if "kB" in value}
    return kb["VmRSS"] / 1000, kb.get("RssAnon", kb["VmRSS"]) / 1000


async def rest(pid: int, seconds: float) -> Resting:
    """Watch a process."""
    before_s, began_s = cpu_s(pid), time.perf_counter()
    await asyncio.sleep(seconds)
    used_s, passed_s = cpu_s(pid) - before_s, time.perf_counter() - began_s
    return Resting(100 * used_s / passed_s, *memory_mb(pid))


async def measure(starts: int = STARTS, idle_s: float = IDLE_S) -> tuple[list[Took], Resting]:
    """Start a node so many times, then let the last one rest."""
    place = V2V.provider
    with tempfile.TemporaryDirectory(prefix="node-") as directory:
        async with scene(Path(directory), []) as stage:
            stage.prepare(cast(place), {}, {})
            times = [await started(stage, place)]
            for _ in range(starts - 1):
                stage.nodes[place].terminate()
                async with asyncio.timeout(CLEAN_UP_S):
                    await stage.nodes[place].wait()
                times.append(await started(stage, place))
            return times, await rest(stage.nodes[place].pid, idle_s)


def table(imports: Sequence[Took], bare: Sequence[Took], starts: Sequence[Took], resting: Resting) -> Table:
    """Medians beside the goals."""
    rows = (
        *_medians("importing the node", imports, bare),
        *_medians("from the command line to serving", starts, bare, START_MS),
        Row("idle", "% of a core", resting.cpu_percent, None, IDLE_PERCENT),
        Row("resident memory", "MB", resting.resident_mb, None, MEMORY_MB),
        Row("  of it this process's alone", "MB", resting.own_mb),
    )
    return Table("The node itself", "bare interpreter", rows, f"Medians of {len(starts)} starts.")


def _medians(what: str, ours: Sequence[Took], bare: Sequence[Took], goal_ms: float | None = None) -> Iterator[Row]:
    yield Row(what, "ms", median(each.real_ms for each in ours), median(each.real_ms for each in bare), goal_ms)
    cpu_ms = median(each.cpu_ms for each in ours)
    yield Row("  of it processor time", "ms", cpu_ms, median(each.cpu_ms for each in bare))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idle-s", type=float, default=IDLE_S)
    idle_s = parser.parse_args(arguments).idle_s
    imports, bare = [], []
    for _ in range(IMPORTS):
        imports.append(imported("v2xnode.node"))
        bare.append(imported("sys"))
    publish(NAME, [table(imports, bare, *asyncio.run(measure(idle_s=idle_s)))])


if __name__ == "__main__":
    main()
