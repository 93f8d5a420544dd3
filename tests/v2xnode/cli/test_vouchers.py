"""Twin of v2xnode/cli/vouchers.py, and of settling/voucher_steps.py behind it: vouchers in files."""

import json
from pathlib import Path

import pytest
from typer.testing import Result

from ledger.store.ledger import Ledger
from tests.support.node_books import REQUEST_ID
from tests.v2xnode.cli.calling import called, printed
from v2xnode.config import DATABASE_FILE
from v2xnode.identity import Identity
from v2xnode.settling.money import posting_rule

PROVIDER, CLIENT, ISSUER = (Identity.from_seed(bytes([number]) * 32) for number in (1, 2, 3))
FAR_S = 2**31


@pytest.fixture
def world(settled: Path) -> Path:
    """The two sides of a settled trade with their keys, an issuer, and the issuer's list and voucher as files."""
    for name, identity in (("provider", PROVIDER), ("client", CLIENT), ("issuer", ISSUER)):
        data = settled / name
        data.mkdir(exist_ok=True)
        (data / "node.key").write_text(identity.seed.hex() + "\n")
        (data / "node.key").chmod(0o600)
    Ledger.open(settled / "issuer" / DATABASE_FILE, ISSUER.signer, posting_rule=posting_rule).close()
    named = {"issuer": ISSUER.public.hex(), "name": "Roaming", "any_limit_micro": 5_000_000, "currency": "EUR"}
    (settled / "list.json").write_text(json.dumps({"number": 1, "issuers": [{**named, "until_s": FAR_S}]}))
    publish(settled, "list")
    done = called(
        *("voucher", "issue", "--data", settled / "issuer", "--holder", CLIENT.public.hex()),
        *("--amount", "1.5", "--out", settled / "voucher"),
    )
    assert done.exit_code == 0
    return settled


def publish(world: Path, name: str) -> None:
    words = ("issuers", "publish", world / f"{name}.json", "--data", world / "issuer", "--out", world / name)
    assert called(*words).exit_code == 0


def at(world: Path, side: str, *words: object) -> Result:
    return called(*words, "--data", world / side, "--json")


def code(result: Result) -> tuple[int, str]:
    return result.exit_code, printed(result)["error"]["code"]


def test_a_voucher_is_issued_and_kept_and_not_good_for_a_trade_before_it(world: Path) -> None:
    listed = at(world, "provider", "issuers", "add", world / "list", "--publisher", ISSUER.public.hex())
    assert printed(listed)["issuers"][0]["name"] == "Roaming"
    at(world, "client", "voucher", "add", world / "voucher")
    kept = printed(at(world, "provider", "voucher", "add", world / "voucher"))["voucher"]
    assert (kept["remaining_micro"], kept["provider"]) == (1_500_000, None)
    trade = REQUEST_ID.hex()
    refused = at(world, "provider", "voucher", "draw", trade, kept["hash"])
    assert code(refused) == (2, "not_yet_valid")


def test_lists_and_vouchers_are_shown(world: Path) -> None:
    assert "No issuers are trusted" in called("issuers", "list", "--data", world / "provider").stdout
    assert called("voucher", "list", "--data", world / "provider").stdout == "No vouchers are kept here.\n"
    at(world, "provider", "issuers", "add", world / "list")
    at(world, "provider", "voucher", "add", world / "voucher")
    assert "at any provider up to 5.000000 EUR" in called("issuers", "list", "--data", world / "provider").stdout
    told = called("voucher", "list", "--data", world / "provider").stdout
    assert "1.500000 EUR of 1.500000 EUR left" in told
    for side in ("provider", "issuer"):
        assert called("ledger", "verify", "--data", world / side).exit_code == 0


def test_what_is_wrong_is_exit_2_with_its_code(world: Path) -> None:
    assert code(at(world, "provider", "voucher", "add", world / "voucher")) == (2, "unknown_issuer")
    assert code(at(world, "provider", "issuers", "add", world / "list", "--publisher", "ab" * 32)) == (
        2,
        "wrong_publisher",
    )
    at(world, "provider", "issuers", "add", world / "list")
    assert code(at(world, "provider", "issuers", "add", world / "list")) == (2, "older_list")
    assert code(at(world, "provider", "voucher", "add", world / "nothing")) == (2, "no_file")
    assert code(at(world, "issuer", "voucher", "redeem", world / "voucher"))[1] == "malformed"
    (world / "noise").write_bytes(b"\xff\xfe")
    assert code(at(world, "provider", "voucher", "add", world / "noise")) == (2, "malformed")
    serial = json.loads((world / "voucher").read_text())
    (world / "bent").write_text(json.dumps({**serial, "signature": "A" * 86 + "=="}))
    assert code(at(world, "provider", "voucher", "add", world / "bent"))[1] == "bad_signature"
    assert called("voucher", "claim", "00" * 32, "--data", world / "provider").exit_code == 2
    assert called("voucher", "claim", "zz", "--data", world / "provider").exit_code == 2


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"number": 1}', '{"number": 0, "issuers": []}', '{"number": 1, "issuers": [1]}']
)
def test_what_is_no_list_is_not_signed(world: Path, text: str) -> None:
    (world / "wrong.json").write_text(text)
    result = called("issuers", "publish", world / "wrong.json", "--data", world / "issuer")
    assert (result.exit_code, result.stdout) == (2, "")
