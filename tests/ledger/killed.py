"""Migrates copies of an old ledger, each in a process of its own that is killed (kill -9) one step later.

`python -m tests.ledger.killed DIRECTORY`: copy number n is killed at step n; a step is a statement to the database,
or what Python does with a file. The last one lives to the end. Prints how many there were.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from tests.ledger import old

FILE_STEPS = ("open", "os.mkdir", "os.rename", "os.remove", "sqlite3.connect")


def main(directory: Path) -> None:
    import alembic.script  # noqa: F401  # once, for all children

    for steps in count(1):
        path = directory / str(steps) / "node.db"
        path.parent.mkdir()
        shutil.copy(old.FILE, path)
        child = os.fork()
        if child == 0:
            _migrate(path, steps)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == 0:
            print(steps)
            return
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            sys.exit(f"step {steps} ended with {status}")


def _migrate(path: Path, steps: int) -> None:
    left = steps

    def step(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def file_step(name: str, _: Any) -> None:
        if name in FILE_STEPS:
            step()

    gc.disable()
    event.listen(Engine, "before_cursor_execute", step)
    event.listen(Engine, "commit", step)
    sys.addaudithook(file_step)
    old.open_old(path).close()
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
