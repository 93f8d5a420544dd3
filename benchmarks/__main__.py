"""Run benchmarks: `python -m benchmarks [name ...]`; without names all but the long ones."""

import subprocess
import sys
from collections.abc import Sequence

USUAL = ("bytes_and_round_trips", "times", "requests_per_second", "ledger", "proofs", "node")
"""Under a minute each. Longer ones in this directory are run by their names."""


def main(names: Sequence[str]) -> int:
    """Each in a process of its own, so that none warms up or burdens the next. The number of those that failed."""
    return sum(subprocess.run([sys.executable, "-m", f"benchmarks.{name}"]).returncode != 0 for name in names or USUAL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
