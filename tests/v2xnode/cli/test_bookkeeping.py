"""Twin of v2xnode/cli/bookkeeping.py, and of settling/steps.py behind it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.support.node_books import REQUEST_ID
from tests.v2xnode.cli.calling import called, printed
from tests.v2xnode.cli.conftest import AMOUNT_MICRO
from v2xnode.cli.bookkeeping import micro
from v2xnode.config import DATABASE_FILE
from v2xnode.errors import UsageError
from v2xnode.identity import Identity

PROVIDER = Identity.from_seed(b"\x01" * 32)
CLIENT = Identity.from_seed(b"\x02" * 32)


@pytest.fixture
def sides(settled: Path) -> Path:
    """With the keys that the ledgers belong to."""
    for name, identity in (("provider", PROVIDER), ("client", CLIENT)):
        key = settled / name / "node.key"
        key.write_text(identity.seed.hex() + "\n")
        key.chmod(0o600)
    return settled


def ledger(data: Path, *words: object) -> Result:
    return called("ledger", *words, "--data", data, "--json")


def accounts_of(data: Path) -> list[Any]:
    found: list[Any] = printed(ledger(data, "accounts"))["accounts"]
    return found


def test_accounts_show_both_directions_and_their_age(sides: Path) -> None:
    [found] = accounts_of(sides / "provider")
    assert found["peer"] == CLIENT.public.hex()
    assert (found["currency"], found["net_micro"]) == ("EUR", AMOUNT_MICRO)
    assert found["owed_to_us"]["owed_micro"] == AMOUNT_MICRO
    assert sum(found["owed_to_us"]["ages_micro"].values()) == AMOUNT_MICRO
    [found] = accounts_of(sides / "client")
    assert (found["net_micro"], found["owed_by_us"]["owed_micro"]) == (-AMOUNT_MICRO, AMOUNT_MICRO)
    told = called("ledger", "accounts", "--data", sides / "provider").stdout
    assert "owed to us: 0.000250 EUR" in told
    assert called("ledger", "accounts", "--peer", "ffff", "--data", sides / "provider").exit_code == 0


def test_a_payment_is_signed_by_both_and_both_ledgers_still_verify(sides: Path) -> None:
    done = printed(ledger(sides / "client", "pay", PROVIDER.public.hex(), "0.0002", "--reference", "E2E 1"))
    assert (done["signed"], len(done["hash"])) == ("pay", 64)
    assert accounts_of(sides / "client")[0]["net_micro"] == 200 - AMOUNT_MICRO
    result = ledger(sides / "client", "pay", PROVIDER.public.hex(), "1")
    assert (result.exit_code, printed(result)["error"]["code"]) == (2, "more_than_owed")
    got = ledger(sides / "provider", "received", CLIENT.public.hex(), "0.0002", "--means", "cash")
    assert got.exit_code == 0
    assert accounts_of(sides / "provider")[0]["net_micro"] == AMOUNT_MICRO - 200
    for side in ("provider", "client"):
        assert called("ledger", "verify", "--data", sides / side).exit_code == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("pay", "zz", "1"), "malformed"),
        (("pay", PROVIDER.public.hex(), "0.0000001"), "malformed"),
        (("pay", PROVIDER.public.hex(), "x"), "malformed"),
        (("pay", PROVIDER.public.hex(), "0"), "malformed"),
        (("pay", PROVIDER.public.hex(), "1", "--means", "voucher"), "malformed"),
        (("confirm", "00" * 32), "no_payment"),
        (("net", "--agree", "00" * 32), "no_net"),
        (("prune", "--before", "00" * 32), "no_net"),
        (("prune", "--peer", "ab" * 32), "no_net"),
        (("prune",), "malformed"),
        (("net", "--peer", "ab" * 32), "nothing_owed"),
        (("resolve", REQUEST_ID.hex()), "nothing_disputed"),
        (("resolve", "00" * 16, "--energy-wh", "5"), "nothing_disputed"),
    ],
)
def test_what_does_not_fit_the_books_is_exit_2_and_changes_nothing(
    sides: Path, words: tuple[str, ...], code: str
) -> None:
    before = rows(sides / "client")
    result = ledger(sides / "client", *words)
    assert (result.exit_code, printed(result)["error"]["code"]) == (2, code)
    assert rows(sides / "client") == before


def rows(data: Path) -> int:
    with closing(sqlite3.connect(data / DATABASE_FILE)) as database:
        [(count,)] = database.execute("SELECT count(*) FROM entry").fetchall()
    return int(count)


def test_a_net_is_proposed(sides: Path) -> None:
    assert printed(ledger(sides / "provider", "net", "--peer", CLIENT.public.hex()))["signed"] == "net"


@pytest.mark.parametrize(("text", "amount_micro"), [("12.5", 12_500_000), ("0.000001", 1), ("1e2", 100_000_000)])
def test_amounts_are_read_exactly(text: str, amount_micro: int) -> None:
    assert micro(text) == amount_micro


@pytest.mark.parametrize("text", ["", "1,5", "nan", "inf", "0.0000005"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        micro(text)
