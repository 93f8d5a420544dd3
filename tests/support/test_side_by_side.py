"""Who takes which file, shown by workers that only note what they are told to run."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.support.side_by_side import WAITING, SideBySide

COMPUTING = [f"tests/market/test_{name}.py" for name in "abcd"]
WAITERS = [f"{WAITING[0]}test_{name}.py" for name in "efgh"]
TESTS = [f"{file}::test_it[{number} of b.py::d]" for file in (*COMPUTING, *WAITERS) for number in range(5)]


class Worker:
    """One that runs nothing."""

    def __init__(self, number: int) -> None:
        self.gateway = SimpleNamespace(id=f"gw{number}")
        self.shutting_down = False
        self.due: list[int] = []
        self.files: list[str] = []

    def send_runtest_some(self, indices: list[int]) -> None:
        self.due += indices
        self.files.append(TESTS[indices[0]].partition("::")[0])

    def shutdown(self) -> None:
        self.shutting_down = True


def played(count: int) -> list[Worker]:
    """As many workers after they have shared all tests, each as fast as the others."""
    option = SimpleNamespace(loadscopereorder=False)
    config = SimpleNamespace(option=option, getvalue=lambda _: ["popen"] * count)
    plan, workers = SideBySide(cast(pytest.Config, config)), [Worker(number) for number in range(count)]
    for worker in workers:
        plan.add_node(cast(Any, worker))
        plan.add_node_collection(cast(Any, worker), TESTS)
    plan.schedule()
    ran: list[int] = []
    while busy := [worker for worker in workers if worker.due]:
        for worker in busy:
            ran.append(worker.due.pop(0))
            plan.mark_test_complete(cast(Any, worker), ran[-1])
    assert sorted(ran) == list(range(len(TESTS)))
    assert plan.tests_finished
    return workers


def test_all_but_one_take_what_waits_and_that_one_what_computes() -> None:
    *patient, spared = played(3)
    assert [worker.files[:2] for worker in patient] == [WAITERS[::2], WAITERS[1::2]]
    assert spared.files[:2] == COMPUTING[:2]


def test_a_file_is_played_by_one_worker() -> None:
    assert sorted(file for worker in played(3) for file in worker.files) == sorted(COMPUTING + WAITERS)


def test_whoever_has_done_its_own_takes_the_others() -> None:
    (alone,) = played(1)
    assert alone.files == COMPUTING + WAITERS
