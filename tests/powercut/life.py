"""One life of machines, in a process of its own, and what two do with it who trade: start, look whether all is there,
and go on until the end.

SQLite itself says how far a transaction is: its trace names each statement as it begins.
"""

from __future__ import annotations

import random
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from sqlalchemy import Engine, event

from ledger.errors import LedgerError
from tests.ledger import world
from tests.powercut.looking import look
from tests.powercut.parties import Party, settle, trading
from tests.powercut.shim import NEVER, Death, Shim, Stage
from tests.powercut.witness import Mouth, Witness

MACHINES: Final = {"client": world.CLIENT, "provider": world.PROVIDER}

RESTARTS: Final = 0.02
"""How often after a step one of the two leaves in order and starts again: then SQLite ends its log, and begins one."""

_FRAMES_AT: Final = slice(16, 20)
"""In a -shm file: how many frames of the log hold (SQLite, walformat, 2.1: mxFrame, of the machine's byte order)."""


@dataclass(frozen=True, slots=True)
class Life:
    """What a seed has drawn for a life.

    death: None lets it settle what is open, trade once more, and end. weakened: a setting of SQLite's, put on top of
    the store's own. checkpoint_pages: how long SQLite's log gets before it is copied into the database; cache_pages:
    few make a transaction write before it commits; 0 leaves both as they are.
    """

    name: str
    directory: Path
    death: Death | None
    weakened: str = ""
    checkpoint_pages: int = 0
    cache_pages: int = 0


Acts: TypeAlias = Callable[[Life, Shim, Mouth], None]
"""What a life consists of: it ends by death, or by itself."""


def live(life: Life, acts: Acts, witness: Witness, said: int, log: int) -> None:
    """Until death, or until all is done. What is found is said into the open file `said`."""
    shim, mouth = Shim(), Mouth(witness, said)
    event.listen(Engine, "connect", _Connections(life, shim, mouth).made)
    shim.begin(life.directory, log, life.death or NEVER)
    try:
        acts(life, shim, mouth)
    except LedgerError as error:
        mouth.note(f"broken: {error.code}")


def trade(life: Life, shim: Shim, mouth: Mouth) -> None:
    """Both start, look, and trade until death; without one until all is settled."""
    client, provider = (_start(life, name, shim) for name in MACHINES)
    _look_around(client, provider, mouth)
    if life.death is None:
        settle(client, provider, mouth, shim.reach)
        client.begin()
        settle(client, provider, mouth, shim.reach)
        _look_around(client, provider, mouth)
        return
    chance = random.Random(life.name)
    for _ in trading(client, provider, mouth, shim.reach):
        if chance.random() < RESTARTS:
            chance.choice([client, provider]).reopen()


def _look_around(client: Party, provider: Party, mouth: Mouth) -> None:
    for party, peer in ((client, provider), (provider, client)):
        for name in look(party, peer, mouth.witness):
            mouth.note(name)


def _start(life: Life, name: str, shim: Shim) -> Party:
    shim.reach(Stage.OPENING)
    signers = dict(MACHINES)
    signer = signers.pop(name)
    (peer,) = signers.values()
    # other bytes in each life, as in a real one; the same when it is played again
    entropy = random.Random(f"{life.name} {name}").randbytes
    return Party.open(signer, peer, life.directory / name, entropy)


@dataclass(slots=True)
class _Connections:
    """What a life does with SQLite's connections, after the store has made them as it always does."""

    life: Life
    shim: Shim
    mouth: Mouth
    _known: set[str] = field(default_factory=set)

    def made(self, driver: sqlite3.Connection, _: object) -> None:
        self._count_recovery(driver)
        if self.life.weakened:
            driver.execute(f"PRAGMA {self.life.weakened}")
        if self.life.checkpoint_pages:
            driver.execute(f"PRAGMA wal_autocheckpoint={self.life.checkpoint_pages}")
        if self.life.cache_pages:
            driver.execute(f"PRAGMA cache_size={self.life.cache_pages}")
        driver.set_trace_callback(self._begins)

    def _begins(self, statement: str) -> None:
        if statement.startswith("BEGIN"):
            self.shim.reach(Stage.WORKING)
        elif statement.startswith("COMMIT"):
            self.shim.reach(Stage.COMMITTING)

    def _count_recovery(self, driver: sqlite3.Connection) -> None:
        """The first connection of a life, after a death, reads SQLite's log back."""
        _, _, path = driver.execute("PRAGMA database_list").fetchone()
        if path in self._known:
            return
        self._known.add(path)
        driver.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # it is read back where it is needed first
        frames = int.from_bytes(Path(f"{path}-shm").read_bytes()[_FRAMES_AT], sys.byteorder)
        if frames:
            self.mouth.note("logs recovered")
            self.mouth.note("frames recovered", frames)
