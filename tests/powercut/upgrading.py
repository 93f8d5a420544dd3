"""A ledger that older software left is opened by this one: copied, migrated, and maybe ended in the midst of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ledger.store import copies
from ledger.store.ledger import FILE_NAME
from tests.ledger import old
from tests.powercut.life import Life
from tests.powercut.shim import Shim, Stage
from tests.powercut.witness import Mouth

MACHINE: Final = "node"


def upgrade(life: Life, shim: Shim, mouth: Mouth) -> None:
    """Open it as a node that starts does, and look."""
    shim.reach(Stage.OPENING)
    path = life.directory / MACHINE / FILE_NAME
    old.open_old(path).close()
    mouth.note("upgraded")
    for name in _look(path):
        mouth.note(name)


def _look(path: Path) -> Iterator[str]:
    """Everything is there that was, it holds, and what it was is kept beside it."""
    was = old.dump(old.FILE)
    if old.dump(path) != was:
        yield "lost: rows"
    if not old.verified(path).ok:
        yield "unsound: verify"
    kept = list((path.parent / copies.DIRECTORY).glob(f"*{path.suffix}"))
    yield from ("lost: a copy" for _ in [1] if not kept)
    yield from ("unsound: a copy" for each in kept if old.dump(each) != was)
