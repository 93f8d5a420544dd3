"""Charge Detail Records by the published rules of OCPI 2.2.1, and read by types that others derived from them."""

import base64
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from ocpi_types.v2_2_1 import Cdr
from pyocmf import OCMF

from tests.contract.exporter_contract import ExporterContract
from tests.support.deals import PROVIDER, STORIES, request_id
from tests.v2xnode.export.conftest import CONFIG, METER
from tests.v2xnode.export.published import MAX_ID_WITHOUT_CREDIT, deviations
from v2xnode.config import Config, ElectricalSection, OcpiSection
from v2xnode.export.errors import ExportRefused
from v2xnode.export.interface import Exporter, Source
from v2xnode.export.ocpi import export

Json = dict[str, Any]
CONCLUDED = [name for name in STORIES if name not in ("void", "running")]


class TestContract(ExporterContract):
    @pytest.fixture
    def exporter(self) -> Exporter:
        return export


def cdrs(source: Source) -> list[Json]:
    return [json.loads(line, parse_float=Decimal) for line in export(source)]


def of(source: Source, name: str) -> list[Json]:
    return [each for each in cdrs(source) if each["id"].startswith(request_id(name).hex())]


@pytest.fixture(params=["source", "clients"])
def either(request: pytest.FixtureRequest) -> Source:
    source: Source = request.getfixturevalue(request.param)
    return source


def test_every_record_is_as_published(either: Source) -> None:
    records = cdrs(either)
    assert [each["id"][:32] for each in records if "-" not in each["id"]] == [
        request_id(name).hex() for name in CONCLUDED
    ]
    for each in records:
        assert deviations(each) == []


def test_others_read_what_we_write(either: Source) -> None:
    for line in export(either):
        read = Cdr.from_dict(json.loads(line))
        assert read.to_dict() == json.loads(line)


def test_the_parts_are_what_the_total_says(either: Source) -> None:
    for each in cdrs(either):
        if "credit" in each:
            continue
        parts = [each[name] for name in ("total_energy_cost", "total_fixed_cost") if name in each]
        for vat in ("excl_vat", "incl_vat"):
            assert sum(part[vat] for part in parts) == each["total_cost"][vat]
        assert sum(energies(each)) == each["total_energy"]


def energies(record: Json) -> list[Decimal]:
    return [dimension["volume"] for period in record["charging_periods"] for dimension in period["dimensions"]]


def test_the_tariffs_come_to_the_total(either: Source) -> None:
    """Whoever gets a record can reckon its cost again from tariffs and periods, to the rounding of the prices."""
    for each in cdrs(either):
        if "credit" in each:
            continue
        net = gross = Decimal(0)
        tariffs = {tariff["id"]: tariff["elements"][0]["price_components"] for tariff in each["tariffs"]}
        assert len(tariffs) == len(each["charging_periods"])
        for period, energy in zip(each["charging_periods"], energies(each), strict=True):
            for part in tariffs[period["tariff_id"]]:
                cost = part["price"] * (energy if part["type"] == "ENERGY" else 1)
                net, gross = net + cost, gross + cost * (100 + part.get("vat", 0)) / 100
        assert abs(net - each["total_cost"]["excl_vat"]) < Decimal("0.0003")
        assert abs(gross - each["total_cost"]["incl_vat"]) < Decimal("0.0003")


def test_a_period_begins_where_a_price_does(source: Source) -> None:
    (by_time,), (by_tier,) = of(source, "by time"), of(source, "by tier")
    assert [each["start_date_time"] for each in by_time["charging_periods"]] == [
        "2026-01-14T18:32:00Z",
        "2026-01-14T18:34:00Z",
    ]
    assert energies(by_time) == [Decimal("0.203"), Decimal("0.101")]
    assert energies(by_tier) == [Decimal("0.150"), Decimal("0.100"), Decimal("0.054")]


def test_between_vehicles_the_client_charges_at_the_providers(either: Source) -> None:
    (record,) = of(either, "fixed")
    provider, client = PROVIDER.node_id, either.trades[0].trade.peer.hex()
    client = client if either.ledger.node == PROVIDER.public else either.ledger.node.hex()
    assert (record["total_energy"], record["total_cost"]["excl_vat"]) == (Decimal("0.304"), Decimal("0.0950"))
    assert record["cdr_location"]["evse_uid"] == provider[:32]
    assert record["cdr_token"]["uid"] == client[:32]


def test_into_a_home_the_provider_discharges(either: Source) -> None:
    (record,) = of(either, "into a home")
    assert (record["total_energy"], energies(record)) == (Decimal("-0.297"), [Decimal("-0.297")])
    assert record["total_cost"] == {"excl_vat": Decimal("-0.2628"), "incl_vat": Decimal("-0.3128")}
    assert record["cdr_token"]["uid"] == PROVIDER.node_id[:32]
    assert record["cdr_location"]["evse_uid"] != PROVIDER.node_id[:32]


def test_a_correction_is_a_credit_of_all_and_a_new_record(either: Source) -> None:
    first, credit, corrected = of(either, "resolved")
    changed = {name for name in credit if credit.get(name) != first.get(name)}
    assert changed == {"id", "total_cost", "credit", "credit_reference_id", "last_updated"}
    assert credit["total_cost"] == {name: -cost for name, cost in first["total_cost"].items()}
    assert (credit["credit"], credit["credit_reference_id"]) == (True, first["id"])
    assert not {"credit", "credit_reference_id"} & corrected.keys()
    assert (first["total_energy"], corrected["total_energy"]) == (Decimal("0.120"), Decimal("0.180"))
    assert corrected["total_cost"]["excl_vat"] > first["total_cost"]["excl_vat"]


def test_ids_are_short_and_survive_a_change_of_case(either: Source) -> None:
    ids = [each["id"] for each in cdrs(either)]
    assert len({each.lower() for each in ids}) == len(ids)
    assert all(len(each) <= MAX_ID_WITHOUT_CREDIT for each in ids)


def test_the_signed_data_is_our_meters(source: Source) -> None:
    (record,) = of(source, "fixed")
    signed = record["signed_data"]
    (value,) = signed["signed_values"]
    ocmf = base64.b64decode(value["signed_data"], validate=True).decode()
    assert ocmf.split("|")[1] == value["plain_data"]
    assert base64.b64decode(signed["public_key"], validate=True) == METER.spki
    assert OCMF.from_string(ocmf, strict=True).verify_signature(METER.spki.hex())


def test_without_a_meter_key_there_is_no_signed_data(source: Source) -> None:
    (record,) = of(replace(source, meter=None), "fixed")
    assert "signed_data" not in record
    assert deviations(record) == []


@pytest.mark.parametrize("field", ["country_code", "party_id", "country", "latitude", "longitude"])
def test_what_the_configuration_lacks_is_named(source: Source, field: str) -> None:
    section = OcpiSection(**(CONFIG.ocpi.model_dump() | {field: ""}))
    with pytest.raises(ExportRefused, match=field) as refusal:
        cdrs(replace(source, config=Config(electrical=CONFIG.electrical, ocpi=section)))
    assert refusal.value.code == "ocpi_not_configured"


def test_a_connector_that_fits_the_current_is_needed(source: Source) -> None:
    only_ac = Config(electrical=ElectricalSection(connectors=["SCHUKO"]), ocpi=CONFIG.ocpi)
    with pytest.raises(ExportRefused, match="DC"):
        cdrs(replace(source, config=only_ac))
