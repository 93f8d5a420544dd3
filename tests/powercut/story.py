"""A seed's story: life after life, each ended by a power cut or a kill, and a last one in which all is done. It runs in
a process that was started with the shim; each life is a fork of it.

Prints an outcome as JSON for each seed: `python -m tests.powercut.story HOW WEAKENED FIRST STOP STEP`.
"""

from __future__ import annotations

import gc
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Final, NoReturn

from ledger.store.ledger import FILE_NAME
from tests.ledger import old
from tests.powercut.life import MACHINES, Acts, Life, live, trade
from tests.powercut.platter import Keep, Platter, ways
from tests.powercut.shim import REACHED, Death, Operation, Record, Stage, records
from tests.powercut.upgrading import MACHINE, upgrade
from tests.powercut.witness import Witness

LIVES: Final = 5
"""That end too early, in one story: deaths on top of each other, over ledgers that grow."""

LONGEST_CUT: Final = 400
"""Operations after which the power is gone at the latest: some two trades."""

OPENING_CUT: Final = 70
"""So many make two new ledgers."""

LIFE_S: Final = 60
"""Of processor time: a life that takes more goes round in circles."""

SHARED: Final = "-shm"
"""How the file's name ends that is memory, and on no disk."""

FINDINGS: Final = ("lost", "forked", "halved", "unsound", "refused", "broken")
"""With what the names begin of what must never be."""


class How(StrEnum):
    """What ends a life of two who trade, or of one who migrates a ledger that older software left."""

    CUT = "cut"
    KILL = "kill"
    UPGRADE = "upgrade"


UPGRADE_CUT: Final = 160
"""So many operations copy and migrate the old ledger of the tests."""


class Failed(Exception):
    """A story that says nothing about the ledger: a life broke, or the shim did not see all."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a seed. found: what must never be. counted: how its lives ended, and began again."""

    seed: int
    found: dict[str, int]
    counted: dict[str, int]


_KILLS: Final = {
    "before a commit": (REACHED, Stage.COMMITTING, 40),
    "in a commit": ("", Stage.COMMITTING, LONGEST_CUT),
    "between a commit and telling it": (REACHED, Stage.COMMITTED, 10),
    "after telling it": (REACHED, Stage.TOLD, 10),
    "in a checkpoint": (".sqlite", Stage.COMMITTING, 100),
}
"""The labelled points: which operations, and how many may pass. In a commit only a checkpoint touches the database."""


class Story:
    """Machines and a witness, in a directory that nothing else uses."""

    def __init__(self, seed: int, how: How, weakened: str, directory: Path) -> None:
        self._seed = seed
        self._how = how
        self._weakened = weakened
        self._directory = directory
        self._chance = random.Random(f"{how} {seed}")
        self._witness = Witness()
        self._counted: Counter[str] = Counter()
        self._acts: Acts = upgrade if how is How.UPGRADE else trade
        self._disks = [Platter(directory / name) for name in ([MACHINE] if how is How.UPGRADE else MACHINES)]

    def play(self) -> Outcome:
        """All of it, or up to a ledger that does not open any more. Raises Failed."""
        for disk in self._disks:
            disk.directory.mkdir()
            if self._how is How.UPGRADE:
                disk.put(FILE_NAME, old.FILE.read_bytes())
                _write(disk.directory, disk.seen)
        for number in range(LIVES):
            if self._run(self._draw(number)):
                break
        else:
            self._run(Life(f"{self._seed} last", self._directory, None, self._weakened))
        noted = self._witness.noted + Counter({"forked": self._witness.forks})
        found = {name: number for name, number in noted.items() if name.startswith(FINDINGS)}
        return Outcome(self._seed, found, dict(self._counted + noted - Counter(found)))

    def _draw(self, number: int) -> Life:
        chance = self._chance
        pages = chance.choice([0, 1, 3, 10, 30])
        if self._how is How.KILL:
            label = chance.choice(list(_KILLS))
            suffix, stage, most = _KILLS[label]
            death = Death(chance.randint(1, most), suffix, stage)
            pages = pages or 1 if label == "in a checkpoint" else pages
            self._counted[f"killed {label}"] += 1
        else:
            longest = chance.choice([OPENING_CUT, LONGEST_CUT, LONGEST_CUT, LONGEST_CUT])
            longest = UPGRADE_CUT if self._how is How.UPGRADE else longest
            death = Death(chance.randint(1, longest))
        cache = chance.choice([0, 10])
        return Life(f"{self._seed} {number}", self._directory, death, self._weakened, pages, cache)

    def _run(self, life: Life) -> bool:
        """Live it in a fork, and do to the disks what its death does. Whether it ended of itself, since a ledger broke
        or all is settled."""
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as log:
            child = os.fork()
            if child == 0:
                _become(life, self._acts, self._witness, said.fileno(), log.fileno())
            _, status = os.waitpid(child, 0)
            self._witness.hear(_all_of(said).decode())
            done = list(records(_all_of(log)))
        for disk in self._disks:
            disk.replay(done)
            self._demand_all_seen(disk)
        ended = os.waitstatus_to_exitcode(status)
        if ended == -signal.SIGKILL and done and done[-1].operation is Operation.DEATH:
            self._die(done[-1])
            return False
        if ended:
            raise Failed(f"life {life.name} ended with {ended}")
        return True

    def _demand_all_seen(self, disk: Platter) -> None:
        files = {str(each.relative_to(disk.directory)): each for each in disk.directory.rglob("*") if each.is_file()}
        found = {name: each.read_bytes() for name, each in files.items() if not name.endswith(SHARED)}
        if found != disk.seen:
            raise Failed(f"in {disk.directory} is something else than what the shim has seen being written")

    def _die(self, death: Record) -> None:
        self._counted[f"died {_place(death)}"] += 1
        if self._how is How.KILL:
            return
        chance = self._chance
        name, keep = chance.choice(list(ways(chance, max(disk.moment for disk in self._disks)).items()))
        self._counted[f"kept: {name}"] += 1
        without_power = chance.choice([self._disks[:1], self._disks[1:], self._disks, self._disks])
        dropped = [self._cut(disk, keep) for disk in without_power]
        self._counted["dropped"] += any(dropped)

    def _cut(self, disk: Platter, keep: Keep) -> bool:
        """The files become what the disk holds. Whether that is less than programs had seen."""
        seen = disk.seen
        lasting = disk.cut(keep)
        # in memory that is mapped there is whatever was left: it has to be made anew
        noise = {each.name: self._chance.randbytes(each.stat().st_size) for each in disk.directory.glob(f"*{SHARED}")}
        shutil.rmtree(disk.directory)
        disk.directory.mkdir()
        _write(disk.directory, {**lasting, **self._chance.choice([noise, {}])})
        return lasting != seen


def _write(directory: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_bytes(data)


_KINDS: Final = {"-wal": "log", "-journal": "journal", ".sqlite": "database"}


def _place(death: Record) -> str:
    """Where a life ended, in words."""
    name = death.data.decode()
    if name == REACHED:
        return f"before {death.stage.name.lower()}"
    kind = next((kind for suffix, kind in _KINDS.items() if name.endswith(suffix)), "directory")
    return f"{death.stage.name.lower()}, at the {kind}"


def _become(life: Life, acts: Acts, witness: Witness, said: int, log: int) -> NoReturn:
    signal.setitimer(signal.ITIMER_PROF, LIFE_S)
    gc.disable()
    try:
        live(life, acts, witness, said, log)
    except BaseException:  # noqa: BLE001  # the fork ends here, and never in its parent's code
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _all_of(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def play(seed: int, how: How, weakened: str) -> Outcome:
    """One seed's story. Raises Failed, which names the seed."""
    with tempfile.TemporaryDirectory() as directory:
        try:
            return Story(seed, how, weakened, Path(directory)).play()
        except Failed as problem:
            raise Failed(f"seed {seed}: {problem}") from problem


def main(how: str, weakened: str, first: str, stop: str, step: str) -> None:
    """Print an outcome for each seed."""
    gc.freeze()  # what is imported stays as it is, also in the forks, which then share it
    for seed in range(int(first), int(stop), int(step)):
        print(json.dumps(asdict(play(seed, How(how), weakened))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
