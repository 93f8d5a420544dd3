"""Trades written for others from the command line."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ledger.store.directory import DirectoryLock
from tests.support.deals import FIXED, PROVIDER, Deal, played, request_id, sides
from tests.support.receipts import read
from tests.v2xnode.cli.calling import called, printed
from v2xnode.export.paper import paper_code
from v2xnode.identity import KEY_FILE
from v2xnode.meter_key import METER_KEY_FILE
from v2xnode.secret_file import create_secret

CONFIG = """
[electrical]
connectors = ["CCS2"]
[ocpi]
country_code = "DE"
party_id = "V2X"
country = "DEU"
latitude = "50.92710"
longitude = "11.58920"
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The provider's data directory, with two trades."""
    with sides(tmp_path) as (provider, client):
        for name in ("fixed", "taxed"):
            played(provider, client, name)
    create_secret(tmp_path / "provider" / KEY_FILE, PROVIDER.seed)
    (tmp_path / "provider" / "config.toml").write_text(CONFIG)
    return tmp_path / "provider"


def test_a_meter_key_is_made_bound_and_used(data: Path) -> None:
    refused = called("ledger", "export", "--format", "ocmf", "--data", data)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "[no_meter_key]" in refused.stderr
    made = printed(called("ledger", "meter-key", "--data", data, "--json"))
    load_der_public_key(bytes.fromhex(made["public_key"]))
    assert made["bound_now"]
    assert printed(called("ledger", "meter-key", "--data", data, "--json")) == made | {"bound_now": False}
    records = called("ledger", "export", "--format", "ocmf", "--data", data)
    assert records.stdout.count("OCMF|") == 2
    assert called("ledger", "verify", "--data", data).exit_code == 0


def test_a_meter_key_that_the_chain_does_not_name_signs_nothing(data: Path) -> None:
    create_secret(data / METER_KEY_FILE, b"\x07" * 32)
    refused = called("ledger", "export", "--format", "ocmf", "--data", data)
    assert (refused.exit_code, refused.stdout) == (2, "")


def test_a_running_node_is_not_disturbed(data: Path) -> None:
    with DirectoryLock(data):
        refused = called("ledger", "meter-key", "--data", data)
        assert refused.exit_code == 1
        assert "[directory_held]" in refused.stderr
        assert called("ledger", "export", "--format", "csv", "--data", data).exit_code == 0


@pytest.mark.parametrize(("form", "lines"), [("jsonl", 30), ("csv", 3), ("ocpi", 2)])
def test_all_trades_or_one(data: Path, form: str, lines: int) -> None:
    everything = called("ledger", "export", "--format", form, "--data", data)
    assert everything.exit_code == 0
    assert len(everything.stdout.splitlines()) >= lines
    digits = request_id("taxed").hex()
    one = called("ledger", "export", digits[:8], "--format", form, "--data", data)
    assert digits in one.stdout
    assert request_id("fixed").hex() not in one.stdout


@pytest.mark.parametrize(
    ("wanted", "code"), [("ffffff", "no_trade"), ("7461", "no_trade"), ("nothex", "no_trade"), ("", "")]
)
def test_a_trade_is_named_by_digits_enough(data: Path, wanted: str, code: str) -> None:
    result = called("ledger", "export", wanted, "--format", "csv", "--data", data)
    assert (result.exit_code, f"[{code}]" in result.stderr) == ((2, True) if code else (0, False))


def test_digits_that_two_trades_share_are_not_enough(tmp_path: Path) -> None:
    with sides(tmp_path) as (provider, client):
        for name in ("twins one", "twins two"):
            Deal(provider, client, replace(FIXED, request_id=request_id(name))).play()
    data = tmp_path / "provider"
    (data / "config.toml").write_text(CONFIG)
    digits = request_id("twins one").hex()
    assert "[ambiguous]" in called("ledger", "export", digits[:12], "--format", "csv", "--data", data).stderr
    assert called("ledger", "export", digits[:14], "--format", "csv", "--data", data).exit_code == 0


def test_ocpi_says_what_the_configuration_lacks(data: Path) -> None:
    (data / "config.toml").write_text("")
    result = called("ledger", "export", "--format", "ocpi", "--data", data)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "country_code" in result.stderr


def test_ocpi_lines_are_json(data: Path) -> None:
    result = called("ledger", "export", "--format", "ocpi", "--data", data)
    assert [json.loads(line)["party_id"] for line in result.stdout.splitlines()] == ["V2X", "V2X"]


def test_a_receipt_is_written_once(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "receipt.json"
    digits = request_id("taxed").hex()
    assert called("ledger", "receipt", digits, "--data", data, "--out", out).exit_code == 0
    assert called("ledger", "receipt", digits, "--data", data).stdout == out.read_text()
    again = called("ledger", "receipt", digits, "--data", data, "--out", out)
    assert (again.exit_code, "[file_exists]" in again.stderr) == (2, True)
    nowhere = called("ledger", "receipt", digits, "--data", data, "--out", tmp_path / "nowhere" / "receipt.json")
    assert (nowhere.exit_code, "[no_file]" in nowhere.stderr) == (2, True)


def test_no_receipt_of_what_is_not_known(data: Path) -> None:
    result = called("ledger", "receipt", "0123456789", "--data", data)
    assert (result.exit_code, result.stdout) == (2, "")


@pytest.mark.parametrize(("form", "begins"), [("html", b"<!doctype html>"), ("pdf", b"%PDF-")])
def test_a_receipt_for_people(data: Path, tmp_path: Path, form: str, begins: bytes) -> None:
    out = tmp_path / f"receipt.{form}"
    digits = request_id("taxed").hex()
    result = called("ledger", "receipt", digits, "--data", data, "--format", form, "--lang", "de", "--out", out)
    assert result.exit_code == 0
    assert out.read_bytes().startswith(begins)


def test_the_code_of_a_printed_receipt_is_verified(data: Path, tmp_path: Path) -> None:
    file = called("ledger", "receipt", request_id("taxed").hex(), "--data", data).stdout
    code = paper_code(read(file.encode()))
    (tmp_path / "code.txt").write_text(code + "\n")
    told = printed(called("ledger", "verify", tmp_path / "code.txt", "--json"))
    assert (told["form"], told["total_micro"], told["currency"]) == ("v2x-paper/1", 315_354, "EUR")
    (tmp_path / "code.txt").write_text(code[:-9] + "000000000")
    assert called("ledger", "verify", tmp_path / "code.txt").exit_code == 5
