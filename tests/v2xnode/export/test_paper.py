"""The code of a printed receipt proves its totals by itself, and nothing altered does."""

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import cbor
from ledger.errors import RemoteLedgerError
from ledger.files.receipt import Receipt
from market.terms import Close, Closed, Resolve
from tests.support.deals import CLIENT, PROVIDER
from tests.support.receipts import SETTLED, read, receipts, resigned
from tests.support.wrong_receipts import changed, place
from v2xnode.export.dossier import DossierRefused
from v2xnode.export.paper import MAX_BYTES, PREFIX, from_base45, paper_code, read_paper, to_base45


def receipt(name: str) -> Receipt:
    return read(receipts()[name])


def code_of(text: str) -> str:
    """Why a code is refused; empty where it is not."""
    try:
        read_paper(text)
    except (RemoteLedgerError, DossierRefused) as problem:
        return problem.code
    return ""


def packed(plain: bytes) -> str:
    return PREFIX + to_base45(zlib.compress(plain))


@pytest.mark.parametrize(
    ("name", "agreed_wh", "total_micro"),
    [("fixed", 304, 95_002), ("disputed", 120, 37_501), ("resolved", 180, 269_240)],
)
def test_it_proves_parties_energy_and_money(name: str, agreed_wh: int, total_micro: int) -> None:
    paper = read_paper(paper_code(receipt(name)))
    assert (paper.provider, paper.client) == (PROVIDER.public, CLIENT.public)
    assert (paper.agreed_wh, paper.total_micro, paper.currency) == (agreed_wh, total_micro, "EUR")
    assert paper.request_id == receipt(name).request_id


@pytest.mark.parametrize("name", SETTLED)
def test_it_fits_a_code_that_a_phone_reads(name: str) -> None:
    code = paper_code(receipt(name))
    assert len(code) < 1_100
    assert set(code) <= set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:")


def test_no_altered_character_passes() -> None:
    code, chance = paper_code(receipt("taxed")), random.Random(1)
    for at in range(len(code)):
        other = chance.choice("0123456789ABCDEF".replace(code[at], ""))
        assert code_of(code[:at] + other + code[at + 1 :]), at


@pytest.mark.parametrize(
    ("name", "kind", "fields", "code"),
    [
        ("fixed", Closed, {"amounts_micro": (1,)}, "does_not_add_up"),
        ("fixed", Close, {"agreed_wh": 1}, "does_not_add_up"),
        ("fixed", Close, {"peer": bytes(32)}, "wrong_party"),
        ("resolved", Resolve, {"agreed_wh": 150}, "does_not_add_up"),
    ],
)
def test_two_totals_are_none(name: str, kind: type[Close], fields: dict[str, object], code: str) -> None:
    assert code_of(paper_code(resigned(receipt(name), place(name, kind), changed(**fields)))) == code


def test_other_entries_than_these_prove_nothing() -> None:
    made = receipt("fixed")
    fields = [[each.entry.payload, each.body, each.signature] for each in made.entries]
    for some in (fields[:3], fields[-3:], [fields[0], fields[-1], fields[-2]], [fields[0], fields[-2], fields[-2]]):
        plain = cbor.encode([made.request_id, *some], max_bytes=MAX_BYTES)
        assert code_of(packed(plain)) in ("out_of_order", "wrong_party")


@pytest.mark.parametrize(
    "text",
    [
        "",
        PREFIX,
        "V2X2:00",
        PREFIX + "a",
        PREFIX + "::::",
        PREFIX + "00",
        packed(b""),
        packed(b"\x80"),
        packed(b"\x84\x01\x02\x03\x04"),
    ],
)
def test_what_is_no_code_is_malformed(text: str) -> None:
    assert code_of(text) == "malformed"


def test_what_would_fill_memory_is_refused_before() -> None:
    assert code_of(packed(bytes(10_000_000))) in ("malformed", "too_large")
    assert code_of(PREFIX + "0" * 5_000) == "too_large"


@given(st.binary(max_size=80))
def test_base45_gives_back_what_it_was_given(data: bytes) -> None:
    assert from_base45(to_base45(data)) == data


def test_base45_as_published() -> None:
    """RFC 9285, 4.3."""
    assert to_base45(b"AB") == "BB8"
    assert to_base45(b"Hello!!") == "%69 VD92EX0"
    assert from_base45("QED8WEX0") == b"ietf!"
