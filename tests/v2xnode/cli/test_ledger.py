"""Anybody can check a ledger, and one changed value is found and named."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.node_books import REQUEST_ID
from tests.v2xnode.cli.calling import called, printed
from tests.v2xnode.cli.conftest import AMOUNT_MICRO
from v2xnode.config import DATABASE_FILE

SIDES = ("provider", "client")


def changed(data: Path, statement: str) -> None:
    """As somebody with a database tool would."""
    with closing(sqlite3.connect(data / DATABASE_FILE)) as database, database:
        assert database.execute(statement).rowcount == 1


@pytest.mark.parametrize("side", SIDES)
def test_an_honest_ledger_verifies(settled: Path, side: str) -> None:
    result = called("ledger", "verify", "--data", settled / side, "--json")
    report = printed(result)
    assert result.exit_code == 0
    assert (report["ok"], report["fault"]) == (True, None)
    assert min(report["entries"], report["messages"], report["postings"]) > 0
    assert len(report["head"]["hash"]) == 64
    assert called("ledger", "verify", "--data", settled / side).stdout == report["sentence"] + "\n"


def test_a_quick_look_at_our_own_chain(settled: Path) -> None:
    data = settled / "provider"
    quick = printed(called("ledger", "verify", "--quick", "--data", data, "--json"))
    assert (quick["ok"], quick["quick"], quick["fault"]) == (True, True, None)
    assert quick["head"] == printed(called("ledger", "verify", "--data", data, "--json"))["head"]
    assert called("ledger", "verify", "--quick", "--checkpoint", "text", "--data", data).exit_code == 2
    changed(
        data,
        "UPDATE entry SET body = CAST(body || x'00' AS BLOB) WHERE position = "
        "(SELECT max(position) FROM entry WHERE node = (SELECT value FROM meta WHERE name = 'node'))",
    )
    assert called("ledger", "verify", "--quick", "--data", data).exit_code == 5


@pytest.mark.parametrize(
    ("statement", "table", "row", "column"),
    [
        ("UPDATE posting SET amount_micro = amount_micro + 1 WHERE position = 2", "posting", 2, "amount_micro"),
        ("UPDATE entry SET body = CAST(body || x'00' AS BLOB) WHERE position = 3", "entry", 3, "body"),
        ("DELETE FROM posting WHERE position = (SELECT max(position) FROM posting)", "posting", None, ""),
    ],
)
def test_one_changed_value_is_exit_5_and_its_row_is_named(
    settled: Path, statement: str, table: str, row: int | None, column: str
) -> None:
    data = settled / "provider"
    last = printed(called("ledger", "verify", "--data", data, "--json"))["postings"]
    changed(data, statement)
    result = called("ledger", "verify", "--data", data, "--json")
    fault = printed(result)["fault"]
    assert (result.exit_code, printed(result)["ok"]) == (5, False)
    assert (fault["table"], fault["row"], fault["column"]) == (table, row or last, column)
    told = called("ledger", "verify", "--data", data)
    assert told.exit_code == 5
    assert f"row {row or last} of {table}" in told.stdout
    assert called("ledger", "verify", "--data", settled / "client").exit_code == 0


def test_a_file_that_is_no_ledger_does_not_verify(tmp_path: Path) -> None:
    (tmp_path / DATABASE_FILE).write_text("not a database")
    result = called("ledger", "verify", "--data", tmp_path, "--json")
    assert (result.exit_code, printed(result)["fault"]["code"]) == (5, "corrupt")


@pytest.mark.parametrize("name", ["verify", "show", "export"])
def test_where_there_is_no_ledger_none_is_made(name: str, tmp_path: Path) -> None:
    result = called("ledger", name, "--data", tmp_path / "nowhere")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "[no_ledger]" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_both_sides_show_the_same_trade_and_opposite_balances(settled: Path) -> None:
    shown = {side: printed(called("ledger", "show", "--data", settled / side, "--json")) for side in SIDES}
    (provider,), (client,) = (shown[side]["trades"] for side in SIDES)
    assert (provider["role"], client["role"]) == SIDES
    for trade in (provider, client):
        assert (trade["state"], trade["amount_micro"]) == ("settled", AMOUNT_MICRO)
        assert trade["request_id"] == REQUEST_ID.hex()
    assert posted(shown["provider"]["balances"], "receivable:") == AMOUNT_MICRO
    assert posted(shown["client"]["balances"], "payable:") == -AMOUNT_MICRO


def posted(balances: dict[str, dict[str, int]], account: str) -> int:
    (found,) = (balance for name, balance in balances.items() if name.startswith(account))
    assert found["pending_micro"] == 0
    return found["posted_micro"]


def test_people_read_the_trade_and_its_balances(settled: Path) -> None:
    result = called("ledger", "show", "--data", settled / "client")
    assert result.exit_code == 0
    assert "0.000250 EUR" in result.stdout
    assert result.stdout.startswith(REQUEST_ID.hex()[:12])
    assert f"expense:energy EUR: {AMOUNT_MICRO} posted, 0 pending (millionths)" in result.stdout


def test_an_export_holds_every_row_and_its_chains_link(settled: Path) -> None:
    data = settled / "provider"
    report = printed(called("ledger", "verify", "--data", data, "--json"))
    result = called("ledger", "export", "--data", data)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    kinds = [line["kind"] for line in lines]
    assert (result.exit_code, kinds[0]) == (0, "ledger")
    assert (kinds.count("entry"), kinds.count("message")) == (report["entries"], report["messages"])
    own = [line for line in lines if line["kind"] == "entry" and line["node"] == lines[0]["node"]]
    assert [line["prev"] for line in own[1:]] == [line["hash"] for line in own[:-1]]
    assert own[-1]["hash"] == report["head"]["hash"]


def test_an_unknown_format_is_refused(settled: Path) -> None:
    result = called("ledger", "export", "--data", settled / "provider", "--format", "xml")
    assert (result.exit_code, result.stdout) == (2, "")
