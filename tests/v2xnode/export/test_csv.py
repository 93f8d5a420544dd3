"""One line a trade: the figures are exact, and no text becomes a formula."""

import csv
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.contract.exporter_contract import ExporterContract
from tests.support.deals import STORIES, request_id
from v2xnode.export.csv import COLUMNS, export
from v2xnode.export.interface import Exporter, Source


class TestContract(ExporterContract):
    @pytest.fixture
    def exporter(self) -> Exporter:
        return export


def rows(source: Source) -> dict[str, dict[str, str]]:
    read = list(csv.DictReader(export(source)))
    return dict(zip(STORIES, read, strict=True))


def test_every_trade_has_its_line(source: Source) -> None:
    assert next(export(source)).split(",") == list(COLUMNS)
    for name, row in rows(source).items():
        assert row["request_id"] == request_id(name).hex()
        assert row.keys() == set(COLUMNS)


def test_the_figures_are_those_of_the_trade(source: Source) -> None:
    told = rows(source)
    assert told["taxed"] == {
        "request_id": request_id("taxed").hex(),
        "role": "provider",
        "peer": source.trades[0].trade.peer.hex(),
        "service": "V2V",
        "profile": "dc_converter",
        "state": "settled",
        "reason": "energy_reached",
        "started_at": "2026-01-14T18:32:00Z",
        "ended_at": "2026-01-14T18:35:00Z",
        "settled_at": "2026-01-14T18:47:00Z",
        "provider_kwh": "0.304",
        "client_kwh": "0.297",
        "agreed_kwh": "0.304",
        "currency": "EUR",
        "energy_cost": "0.095002",
        "fees": "0.170001",
        "tax": "0.050351",
        "total": "0.315354",
    }
    assert (told["void"]["total"], told["void"]["started_at"]) == ("0.000000", "")
    assert (told["running"]["state"], told["running"]["settled_at"]) == ("delivering", "")


def test_the_parts_sum_up_to_the_total(source: Source) -> None:
    for row in rows(source).values():
        parts = sum(Decimal(row[name]) for name in ("energy_cost", "fees", "tax"))
        assert parts == Decimal(row["total"])


def test_no_text_of_a_peer_becomes_a_formula(source: Source) -> None:
    numbered = source.trades[0]
    assert numbered.trade.offer is not None
    hostile = replace(numbered.trade, offer=replace(numbered.trade.offer, currency="=A1"))
    (row,) = csv.DictReader(export(replace(source, trades=[replace(numbered, trade=hostile)])))
    assert row["currency"] == "'=A1"
