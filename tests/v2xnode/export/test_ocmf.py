"""Signed meter values that verifiers which others wrote accept, and refuse with one digit changed."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from pyocmf import OCMF, IssueSeverity, PyOCMFError, SpecWarning, check_eichrecht_payload, get_obis_info

from tests.contract.exporter_contract import ExporterContract
from tests.support.deals import STORIES
from tests.support.npm import installed
from tests.v2xnode.export.conftest import METER
from v2xnode.export.errors import ExportRefused
from v2xnode.export.interface import Exporter, Source
from v2xnode.export.ocmf import export
from v2xnode.meter_key import MeterKey

METERED = [name for name in STORIES if name != "void"]
KEY = METER.spki.hex()
JS = Path(__file__).parent / "js"
VERIFY_S = 30


class TestContract(ExporterContract):
    @pytest.fixture
    def exporter(self) -> Exporter:
        return export


def by_number(source: Source) -> dict[str, OCMF]:
    """The records, strictly read, by the trade's name."""
    read = [OCMF.from_string(record, strict=True) for record in export(source)]
    return {list(STORIES)[int(str(each.payload.PG)[1:]) - 1]: each for each in read}


def altered(record: str) -> list[str]:
    """A record once for each digit of what is signed, with that digit another one."""
    places = [place for place in range(len(record.rsplit("|", 1)[0])) if record[place].isdigit()]
    return [record[:place] + str((int(record[place]) + 1) % 10) + record[place + 1 :] for place in places]


def test_pyocmf_verifies_each_record_strictly(source: Source) -> None:
    records = by_number(source)
    assert list(records) == METERED
    for record in records.values():
        assert record.verify_signature(KEY)
        issues = check_eichrecht_payload(record.payload)
        assert {issue.code.name for issue in issues} == {"TIME_SYNC"}, "we say that no clock was synchronised"
        assert {issue.severity for issue in issues} == {IssueSeverity.WARNING}


def test_pyocmf_refuses_any_changed_digit(source: Source) -> None:
    record = next(export(source))
    for wrong in altered(record):
        assert not accepted_by_pyocmf(wrong), wrong


def accepted_by_pyocmf(record: str) -> bool:
    try:
        return OCMF.from_string(record).verify_signature(KEY)
    except (PyOCMFError, SpecWarning):
        return False


def test_another_key_does_not_verify(source: Source) -> None:
    other = MeterKey.from_secret(b"\x08" * 32)
    record = OCMF.from_string(next(export(source)))
    assert not record.verify_signature(other.spki.hex())


@pytest.fixture(scope="module")
def verifier() -> Path:
    return installed(JS, "ocmf-js", "the test with @road-labs/ocmf") / "verify.cjs"


def told_by_javascript(verifier: Path, records: Sequence[str]) -> list[bool]:
    asked = json.dumps({"key": KEY, "records": list(records)})
    command = ["node", verifier.name]
    done = subprocess.run(
        command, input=asked, cwd=verifier.parent, capture_output=True, text=True, timeout=VERIFY_S, check=True
    )
    told = json.loads(done.stdout)
    assert isinstance(told, list)
    return told


def test_road_labs_verifies_ours_and_refuses_any_changed_digit(source: Source, verifier: Path) -> None:
    records = list(export(source))
    wrong = altered(records[0])
    assert len(wrong) > 100
    assert told_by_javascript(verifier, [*records, *wrong]) == [True] * len(records) + [False] * len(wrong)


@pytest.mark.parametrize(("side", "category", "wh"), [("source", "export", 304), ("clients", "import", 297)])
def test_a_provider_exports_and_a_client_imports(
    request: pytest.FixtureRequest, side: str, category: str, wh: int
) -> None:
    source: Source = request.getfixturevalue(side)
    begin, end = by_number(source)["fixed"].payload.RD
    for reading in (begin, end):
        info = get_obis_info(str(reading.RI))
        assert info is not None
        assert (info.category, info.is_transaction_register()) == (category, True)
    assert (begin.TX, end.TX) == ("B", "E")
    assert (Decimal("0.000"), Decimal(wh) / 1000) == (begin.RV, end.RV)
    assert (end.timestamp - begin.timestamp).total_seconds() == 180


def test_a_client_that_disputes_shows_what_its_meter_said(clients: Source, source: Source) -> None:
    assert Decimal("0.120") == by_number(clients)["disputed"].payload.RD[1].RV
    assert Decimal("0.203") == by_number(source)["disputed"].payload.RD[1].RV


def test_without_a_bound_key_nothing_is_signed(source: Source) -> None:
    with pytest.raises(ExportRefused) as refusal:
        list(export(replace(source, meter=None)))
    assert refusal.value.code == "no_meter_key"
