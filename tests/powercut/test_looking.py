"""Each thing that a death must not do, done by hand, is found."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledger import world
from tests.powercut.looking import look
from tests.powercut.parties import Party, settle
from tests.powercut.shim import Stage
from tests.powercut.witness import Mouth, Witness


class Traded:
    """A client and a provider who have settled one trade, and begun another that is not told yet."""

    def __init__(self, directory: Path, said: int) -> None:
        self.witness = Witness()
        self.parties: list[Party] = []
        pairs = ((world.CLIENT, world.PROVIDER), (world.PROVIDER, world.CLIENT))
        for number, (signer, peer) in enumerate(pairs):
            place = directory / str(number)
            place.mkdir()
            self.parties.append(Party.open(signer, peer, place, random.Random(number).randbytes))
        self.client, self.provider = self.parties
        self.client.begin()
        settle(self.client, self.provider, Mouth(self.witness, said), self.reach)
        self.client.begin()

    def reach(self, stage: Stage) -> None:
        """Nobody dies here."""

    def found(self) -> list[str]:
        return [*look(self.client, self.provider, self.witness), *look(self.provider, self.client, self.witness)]

    def spoil(self, statement: str) -> None:
        """Write into the client's database, past its store."""
        with sqlite3.connect(self.client.path) as spoiling:
            spoiling.execute(statement)
        spoiling.close()


@pytest.fixture
def traded(tmp_path: Path) -> Iterator[Traded]:
    with (tmp_path / "said").open("wb") as said:
        made = Traded(tmp_path, said.fileno())
        yield made
        for party in made.parties:
            party.ledger.close()


def test_where_nothing_is_wrong_nothing_is_found(traded: Traded) -> None:
    assert traded.found() == []
    assert len(traded.witness.told) == 10
    assert not traded.witness.forks


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DELETE FROM outbox", "halved: outbox"),
        ("DELETE FROM lock", "halved: lock"),
        ("UPDATE posting SET amount_micro = 2 * amount_micro", "unsound: column_differs"),
        ("UPDATE entry SET arrival = zeroblob(32) WHERE position = 3", "unsound: column_differs"),
    ],
)
def test_a_commit_by_halves(traded: Traded, statement: str, found: str) -> None:
    traded.spoil(statement)
    assert set(traded.found()) == {found}


def test_what_was_told_and_what_was_acknowledged(traded: Traded) -> None:
    told, acknowledged = random.Random(1).randbytes(32), random.Random(2).randbytes(32)
    traded.witness.told[world.CLIENT.public, bytes(8), 99].add(told)
    traded.witness.held[world.PROVIDER.public].add(acknowledged)
    assert traded.found() == ["lost: told", "lost: acknowledged"]


def test_two_entries_for_one_place_are_a_fork(traded: Traded) -> None:
    place = next(iter(traded.witness.told))
    traded.witness.hear(f"told\t{place[0].hex()}\t{place[1].hex()}\t{place[2]}\t{bytes(32).hex()}\n")
    assert traded.witness.forks == 1


def test_a_party_that_leaves_and_starts_again_goes_on(traded: Traded) -> None:
    for party in traded.parties:
        party.reopen()
    assert traded.found() == []
    assert len(traded.client.waiting()) == 1
