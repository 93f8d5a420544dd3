"""Every example runs, and the one that recomputes finds what was changed."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import recompute
from ledger.entry import trade_salt
from ledger.signing import AAD_ENTRY, Signer, cose_bytes, sign1
from market import settlement
from market.terms import Offer, PriceKind, to_map
from market.units import Role
from tests.market.terms.strategies import offers
from tests.support.commands import PROJECT, ran, succeeded
from v2xnode.identity import load_identity

EXAMPLES = PROJECT / "examples"
PLACES = ("car_a", "car_b", "house", "cabin")
UNHURRIED = 5
"""World seconds a real second: slow enough that a busy machine renews each power permit in time."""
Records = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Exports:
    """What the demonstration left: its nodes' data directories and their exports."""

    directory: Path
    told: dict[str, Any]

    def path(self, place: str) -> Path:
        """The export of a node."""
        return self.directory / f"{place}.jsonl"

    def records(self, place: str) -> Records:
        """The lines of an export, to be changed."""
        return [json.loads(line) for line in self.path(place).read_text().splitlines()]


@pytest.fixture(scope="module")
def exports() -> Iterator[Exports]:
    """Three trades of four nodes, exported as anybody would."""
    with tempfile.TemporaryDirectory(prefix="v2x-") as name:
        directory = Path(name)
        kept = directory / "kept"
        demo: list[str | Path] = [
            "v2xnode",
            "demo",
            "--json",
            "--transport",
            "memory",
            "--speed",
            str(UNHURRIED),
            "--keep",
            kept,
        ]
        told = json.loads(succeeded(demo))
        made = Exports(directory, told)
        for place in PLACES:
            made.path(place).write_text(succeeded(["v2xnode", "ledger", "export", "--data", kept / place]))
        yield made


def recomputed(*paths: Path) -> subprocess.CompletedProcess[str]:
    """The script as a stranger runs it: alone, in a directory without our packages, isolated from our settings."""
    script = (EXAMPLES / "recompute.py").read_text()
    with tempfile.TemporaryDirectory() as elsewhere:
        alone = Path(elsewhere) / "recompute.py"
        alone.write_text(script)
        return ran([sys.executable, "-I", alone, *paths])


def test_the_script_imports_nothing_of_ours() -> None:
    imported = re.findall(r"^(?:from|import) (\w+)", (EXAMPLES / "recompute.py").read_text(), re.MULTILINE)
    assert not {"market", "ledger", "transports", "v2xnode", "tests"} & set(imported)
    assert set(imported) - set(sys.stdlib_module_names) == {"cbor2", "nacl"}


def test_two_nodes_in_memory() -> None:
    with tempfile.TemporaryDirectory(prefix="v2x-") as directory:
        said = succeeded([sys.executable, EXAMPLES / "two_nodes_in_memory.py", directory])
        settled = re.findall(r"V2V (provider|client) of .*: (\d+) Wh, (\d+\.\d{6}) EUR, settled", said)
        assert [role for role, *_ in settled] == ["provider", "client"]
        assert len({(energy, amount) for _, energy, amount in settled}) == 1
        for place in ("car_a", "car_b"):
            succeeded(["v2xnode", "ledger", "verify", "--data", Path(directory) / place])


def test_every_trade_is_recomputed_to_the_unit(exports: Exports) -> None:
    done = recomputed(*map(exports.path, PLACES))
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("V2")]
    for trade in exports.told["trades"]:
        (row,) = [row for row in rows if row.startswith(trade["service"])]
        micro, delivered = trade["amount_micro"]["client"], trade["delivered_wh"]
        assert f"{micro // 1_000_000}.{micro % 1_000_000:06d} EUR" in row
        energies = [delivered[each] for each in ("provider", "client", "agreed")]
        assert re.search(r"\s+".join(map(str, energies)), row)
        assert row.endswith("settled   both")
    assert len(rows) == len(exports.told["trades"]) == 3


def test_two_ledgers_are_enough_for_the_trade_between_them(exports: Exports) -> None:
    done = recomputed(exports.path("car_a"), exports.path("house"))
    assert done.returncode == 0, done.stderr
    held = {line[:3]: line.rsplit("  ", 1)[-1].strip() for line in done.stdout.splitlines() if line.startswith("V2")}
    assert held == {"V2V": "one of these exports", "V2H": "both"}


def test_it_wants_two_files_that_are_exports(exports: Exports) -> None:
    assert recomputed(exports.path("car_a")).returncode == 2
    assert recomputed(exports.path("car_a"), exports.directory / "nothing").returncode == 1
    text = exports.directory / "text"
    text.write_text('{"kind": "shopping list"}\n')
    done = recomputed(exports.path("car_a"), text)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def entries(records: Records, kind: str) -> Records:
    """The entries of one type in an export."""
    return [each for each in records if each["kind"] == "entry" and each["type"] == kind]


def raise_a_body(records: Records) -> None:
    receipt = entries(records, "RECEIPT")[-1]
    body = cbor2.loads(bytes.fromhex(receipt["body"]))
    body[3] += 1
    receipt["body"] = cbor2.dumps(body, canonical=True).hex()


def raise_the_price(records: Records) -> None:
    offer = next(each for each in records if each.get("message") == "OFFER")
    payload = cbor2.loads(bytes.fromhex(offer["payload"]))
    payload[8][0][1] += 1
    cose = cbor2.loads(bytes.fromhex(offer["cose_sign1"]))
    cose[2] = cbor2.dumps(payload, canonical=True)
    offer["payload"], offer["cose_sign1"] = cose[2].hex(), cbor2.dumps(cose).hex()


def show_another_number(records: Records) -> None:
    entries(records, "RECEIPT")[-1]["seq"] += 1


def drop_a_receipt(records: Records) -> None:
    records.remove(entries(records, "RECEIPT")[-1])


def swap_two(records: Records) -> None:
    first, second = entries(records, "INTERVAL")[:2]
    one, other = records.index(first), records.index(second)
    records[one], records[other] = second, first


def drop_the_newest(records: Records) -> None:
    records.pop()


def drop_the_offer(records: Records) -> None:
    records.remove(next(each for each in records if each.get("message") == "OFFER"))


def spoil_a_signature(records: Records) -> None:
    cose = bytearray.fromhex(entries(records, "CLOSE")[0]["cose_sign1"])
    cose[-1] ^= 1
    entries(records, "CLOSE")[0]["cose_sign1"] = cose.hex()


TAMPERED: list[tuple[Callable[[Records], None], str]] = [
    (raise_a_body, "the body is not the one committed to"),
    (raise_the_price, "the signature is not that of"),
    (show_another_number, "what is shown is not what is signed"),
    (drop_a_receipt, "is not held|out of step|was due|does not follow"),
    (swap_two, "was due|does not follow|out of step"),
    (drop_the_newest, "different entries"),
    (drop_the_offer, "is not held"),
    (spoil_a_signature, "the signature is not that of"),
]


@pytest.mark.parametrize(("tamper", "words"), TAMPERED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_tampered_export_is_named(
    exports: Exports, tmp_path: Path, tamper: Callable[[Records], None], words: str
) -> None:
    records = exports.records("house")
    tamper(records)
    changed = tmp_path / "house.jsonl"
    changed.write_text("".join(json.dumps(each) + "\n" for each in records))
    done = recomputed(exports.path("car_a"), changed)
    assert done.returncode == 1, done.stdout
    assert re.search(words, done.stderr)
    assert "house.jsonl" in done.stderr
    assert "Traceback" not in done.stderr


def signed_again(signer: Signer, record: dict[str, Any], prev: str, body: bytes) -> dict[str, Any]:
    """An entry with another past and another body, in the hand of the node itself."""
    payload = cbor2.loads(cbor2.loads(bytes.fromhex(record["cose_sign1"]))[2])
    salt = trade_salt(bytes.fromhex(record["request_id"]), payload[2], payload[3])
    payload[4], payload[7] = bytes.fromhex(prev), recompute.hash_of(salt + body)
    data = cbor2.dumps(payload)
    return record | {
        "prev": prev,
        "body": body.hex(),
        "body_commitment": payload[7].hex(),
        "hash": recompute.hash_of(data).hex(),
        "cose_sign1": cose_bytes(data, sign1(signer, data, AAD_ENTRY)).hex(),
    }


def test_a_sum_that_both_parties_signed_wrongly_is_found(exports: Exports, tmp_path: Path) -> None:
    """The newest entry of the house's chain says a millionth more, in the house's own hand, in both exports."""
    house, car = exports.records("house"), exports.records("car_a")
    closed = entries(house, "CLOSED")[-1]
    body = cbor2.loads(bytes.fromhex(closed["body"]))
    body[4][0] += 1
    signer = load_identity(exports.directory / "kept" / "house").signer
    forged = signed_again(signer, closed, closed["prev"], cbor2.dumps(body, canonical=True))
    paths = [tmp_path / "house.jsonl", tmp_path / "car_a.jsonl"]
    for path, records in zip(paths, (house, car), strict=True):
        whole = [
            each | {name: forged[name] for name in forged if name != "position"}
            if each.get("hash") == closed["hash"]
            else each
            for each in records
        ]
        assert whole != records
        path.write_text("".join(json.dumps(each) + "\n" for each in whole))
    done = recomputed(*paths)
    assert done.returncode == 1
    assert "the receipts come to" in done.stderr


@settings(deadline=None)
@given(offer=offers(), data=st.data())
def test_the_script_reckons_as_the_market_does(offer: Offer, data: st.DataObject) -> None:
    """Any offer, any meters: the same energy counts and costs the same on each line."""
    theirs = recompute.Offer.read(to_map(offer))
    start_ms = data.draw(st.integers(0, 10**9)) if offer.price_kind is PriceKind.TIME_OF_USE else 0
    tally, other = settlement.open_tally(offer, start_ms), recompute.Tally((0,) * len(offer.price_steps), 0, start_ms)
    provider_wh = agreed_wh = at_ms = 0
    for _ in range(data.draw(st.integers(1, 4))):
        provider_wh += data.draw(st.integers(0, 10_000))
        at_ms += data.draw(st.integers(1, 10**9))
        client_wh = max(0, provider_wh + data.draw(st.integers(-3_000, 100)))
        said = settlement.agree(offer, provider_wh, client_wh, at_ms)
        expected = said.agreed_wh if isinstance(said, settlement.Agreed) else None
        assert recompute.agree_wh(theirs, provider_wh, client_wh, at_ms) == expected
        agreed_wh = max(agreed_wh, provider_wh if offer.reference is Role.PROVIDER else client_wh)
        tally = settlement.add(offer, tally, start_ms + at_ms, agreed_wh)
        other = recompute.add(theirs, other, start_ms + at_ms, agreed_wh)
        assert recompute.amounts_micro(theirs, other) == list(settlement.amounts(offer, tally))
