"""What is read of a process is this process's."""

import os
import time

import pytest

from benchmarks.node import Resting, Took, cpu_s, imported, measure, memory_mb, rest, table


def test_processor_time_is_counted() -> None:
    before_s = cpu_s(os.getpid())
    ends_s = time.process_time() + 0.1
    while time.process_time() < ends_s:
        pass
    assert cpu_s(os.getpid()) - before_s >= 0.05


async def test_a_process_that_works_does_not_rest() -> None:
    held = bytearray(b"x" * 30_000_000)
    resting = await rest(os.getpid(), 0.01)
    assert resting.resident_mb > resting.own_mb > len(held) / 1_000_000
    assert memory_mb(os.getpid())[0] > 0


def test_an_import_takes_time_of_its_process() -> None:
    took = imported("json")
    assert took.real_ms > 0
    assert took.cpu_ms > 0


def test_medians_stand_beside_the_goals() -> None:
    starts = [Took(900, 800), Took(5_000, 850), Took(950, 900)]
    rows = table([Took(500, 400)], [Took(20, 10)], starts, Resting(2.0, 70, 50)).rows
    assert [(row.ours, row.met) for row in rows] == [
        (500, None),
        (400, None),
        (950, True),
        (850, None),
        (2.0, False),
        (70, True),
        (50, None),
    ]


@pytest.mark.processes
async def test_a_node_is_started_again_and_watched() -> None:
    starts, resting = await measure(starts=2, idle_s=0.05)
    assert len(starts) == 2
    assert resting.resident_mb > 10
