"""The ledger itself, whole or one trade of it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.contract.exporter_contract import ExporterContract
from tests.support.deals import request_id
from v2xnode.export.interface import Exporter, Source
from v2xnode.export.jsonl import export


class TestContract(ExporterContract):
    @pytest.fixture
    def exporter(self) -> Exporter:
        return export


def records(source: Source) -> list[dict[str, Any]]:
    return [json.loads(line) for line in export(source)]


def test_one_trade_is_all_that_is_held_of_it(source: Source) -> None:
    only = request_id("taxed")
    everything = records(source)
    wanted = [each for each in everything if each["kind"] == "ledger" or each["request_id"] == only.hex()]
    assert records(replace(source, only=only)) == wanted
    assert len(everything) > len(wanted) > 10
