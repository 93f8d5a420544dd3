"""Cuts the power, kills, and shows that the cuts are real: `python -m tests.powercut.run SEED CUTS KILLS JOBS`.

Power is also cut while an old ledger is migrated, about half as often as is killed. At last the cuts are made once more
with synchronous=NORMAL, and nothing else changed: there they must be seen.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.powercut import shim
from tests.powercut.story import LIVES, How, Outcome

NORMAL: Final = "synchronous=NORMAL"


@dataclass(frozen=True, slots=True)
class Plan:
    """Which stories are played. deaths: at most how many in all, in whole stories."""

    how: How
    deaths: int
    weakened: str = ""
    first: int = 1

    @property
    def stop(self) -> int:
        return self.first - (-self.deaths // LIVES)

    def __str__(self) -> str:
        return f"{self.how} {self.weakened}".strip()


def outcomes(plan: Plan, environment: Mapping[str, str], jobs: int = 1) -> Sequence[Outcome]:
    """Of each seed, in order, from as many processes. Raises CalledProcessError: what was wrong has been printed."""

    def part(first: int) -> list[Outcome]:
        order = [plan.how, plan.weakened, str(first), str(plan.stop), str(jobs)]
        command = [sys.executable, "-m", "tests.powercut.story", *order]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
        return [Outcome(**json.loads(line)) for line in done.stdout.splitlines()]

    with ThreadPoolExecutor(jobs) as pool:
        parts = list(pool.map(part, range(plan.first, plan.first + jobs)))
    return sorted((each for part in parts for each in part), key=lambda each: each.seed)


def found(played: Sequence[Outcome]) -> Counter[str]:
    """What must never be, of all stories."""
    return sum((Counter(each.found) for each in played), Counter[str]())


def counted(played: Sequence[Outcome]) -> Counter[str]:
    """How lives ended and began, of all stories."""
    return sum((Counter(each.counted) for each in played), Counter[str]())


def deaths(played: Sequence[Outcome]) -> int:
    """How often a life was ended."""
    return sum(number for name, number in counted(played).items() if name.startswith("died"))


def tell(plan: Plan, played: Sequence[Outcome]) -> None:
    """Print what came of it, and how to see again what went wrong."""
    bad = [each for each in played if each.found]
    print(f"{plan}: {deaths(played)} deaths in {len(played)} stories, {len(bad)} of which went wrong")
    for name, number in sorted(found(played).items()):
        print(f"  {number:7} {name}, in {sum(name in each.found for each in played)} stories")
    for name, number in sorted(counted(played).items()):
        print(f"  {number:7} {name}")
    for each in () if plan.weakened else bad:
        print(f"seed {each.seed}: {each.found}; again: make powercut SEED={each.seed} CUTS={LIVES} KILLS={LIVES}")
    sys.stdout.flush()


def main(first: int, cuts: int, kills: int, jobs: int) -> int:
    """Print what was found; the exit code."""
    if lack := shim.missing():
        print(lack, file=sys.stderr)
        return 2
    strong = [Plan(how, most, first=first) for how, most in ((How.CUT, cuts), (How.KILL, kills), (How.UPGRADE, kills))]
    weak = Plan(How.CUT, cuts, NORMAL, first)
    with tempfile.TemporaryDirectory() as place:
        environment = shim.environment(Path(place))
        all_found: dict[Plan, Counter[str]] = {}
        for plan in (*strong, weak):
            played = outcomes(plan, environment, jobs)
            tell(plan, played)
            all_found[plan] = found(played)
    if not all_found[weak]["forked"]:
        print(f"Nobody forked himself with {NORMAL}: these cuts show nothing. More of them?")
        return 1
    return 1 if any(all_found[plan] for plan in strong) else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:5])))
