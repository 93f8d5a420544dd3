"""A ledger with a trade of each kind and end, as its exporters get it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.store.reader import LedgerReader
from tests.support.deals import STORIES, played, sides
from v2xnode.config import Config, ElectricalSection, OcpiSection
from v2xnode.export.interface import Numbered, Source
from v2xnode.meter_key import MeterKey
from v2xnode.settling.trades import trades

METER = MeterKey.from_secret(b"\x07" * 32)
CONFIG = Config(
    electrical=ElectricalSection(connectors=["SCHUKO", "CCS2"]),
    ocpi=OcpiSection(
        country_code="DE", party_id="V2X", country="DEU", city="Jena", latitude="50.92710", longitude="11.58920"
    ),
)


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the data of both sides."""
    directory = tmp_path_factory.mktemp("deals")
    with sides(directory) as (provider, client):
        for name in STORIES:
            played(provider, client, name)
    return directory


def source_of(path: Path) -> Source:
    reader = LedgerReader.open(path)
    numbered = [Numbered(number, each) for number, each in enumerate(trades(reader), 1)]
    return Source(reader, numbered, None, CONFIG, METER)


@pytest.fixture
def source(ledgers: Path) -> Iterator[Source]:
    """The provider's ledger."""
    source = source_of(ledgers / "provider" / "node.db")
    with source.ledger:
        yield source


@pytest.fixture
def clients(ledgers: Path) -> Iterator[Source]:
    """The client's ledger."""
    source = source_of(ledgers / "client" / "node.db")
    with source.ledger:
        yield source
