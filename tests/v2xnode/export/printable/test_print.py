"""The printed page says what the receipt says, in either language, and asks nothing of the network."""

import importlib.util
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from ledger.files.receipt import Receipt
from market.settlement import LineKind
from market.units import Service
from tests.support.deals import played, request_id, sides
from tests.support.npm import unavailable
from tests.support.receipts import SETTLED, checkpointed, receipt_of
from v2xnode.export.errors import ExportRefused
from v2xnode.export.paper import paper_code
from v2xnode.export.printable.code import MAX_VERSION, qr_of
from v2xnode.export.printable.html import to_html
from v2xnode.export.printable.print import printed
from v2xnode.export.printable.sheet import Row, Sheet, languages, sheet_of
from v2xnode.export.printable.words import CATALOGUE, FEES, SERVICES
from v2xnode.export.receipt import check_receipt
from v2xnode.settling.bill import bill_of
from v2xnode.settling.trades import Trade


@contextmanager
def story(name: str) -> Iterator[tuple[Receipt, Trade]]:
    with tempfile.TemporaryDirectory(prefix="print-") as directory, sides(Path(directory)) as (provider, client):
        played(provider, client, name)
        checkpointed(provider, client)
        yield receipt_of(provider, name), provider.trade(request_id(name))


def sheet(name: str, lang: str) -> Sheet:
    with story(name) as (receipt, trade):
        bill = bill_of(trade)
        assert bill is not None
        resolved = bill.resolved_at(trade.resolution.agreed_wh) if trade.resolution else bill
        return sheet_of(check_receipt(receipt), resolved, lang)


def text_of(html: str) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)))


def test_both_languages_have_every_word() -> None:
    english, german = (CATALOGUE[lang] for lang in ("en", "de"))
    assert english.keys() == german.keys()
    assert set(languages()) == SERVICES.keys()
    assert all(SERVICES[lang].keys() == set(Service) for lang in languages())
    for word in english:
        assert re.findall(r"{\w+}", english[word]) == re.findall(r"{\w+}", german[word]), word
    assert FEES.keys() == set(LineKind) - {LineKind.ENERGY, LineKind.TAX}


def test_the_bill_stands_there_line_by_line() -> None:
    page = sheet("by time", "en")
    assert [(row.label, row.quantity, row.price, row.amount) for row in page.rows] == [
        ("Energy from 2026-01-14 17:34", "0.203 kWh", "0.20 a kWh", "0.040600"),
        ("Energy from 2026-01-14 18:34", "0.101 kWh", "0.35 a kWh", "0.035350"),
        ("Session fee", "", "", "0.020000"),
        ("Travel", "", "", "0.150001"),
        ("Tax", "", "19.00 %", "0.046731"),
    ]
    assert page.total == "0.292682 EUR"


def test_german_writes_figures_as_germans_do() -> None:
    page = sheet("resolved", "de")
    assert page.total == "0,26924 EUR"
    assert page.rows[0].quantity == "0,180 kWh"
    assert page.facts[0] == ("Geliefert", "14.01.2026 18:32 bis 18:34")
    assert page.state == "Nach einem Streitfall abgerechnet"


def test_what_is_disputed_is_said() -> None:
    assert "0.083 kWh" in sheet("disputed", "en").state


@pytest.mark.parametrize("lang", languages())
@pytest.mark.parametrize("name", SETTLED)
def test_html_is_one_page_without_script_or_network(name: str, lang: str) -> None:
    with story(name) as (receipt, trade):
        html = printed(receipt, trade, "html", lang).decode()
        page = check_receipt(receipt).dossier
    assert not re.search(r"<script|<link|<iframe|https?://(?!www.w3.org/2000/svg)|url\(|@import|\son\w+=", html)
    told = text_of(html)
    for part in (CATALOGUE[lang]["title"], page.provider.hex()[:32], page.client.hex()[:32], receipt.request_id.hex()):
        assert part in told
    assert html.count("<svg") == 1


@pytest.mark.parametrize("lang", languages())
def test_a_pdf_is_one_page_and_the_same_each_time(lang: str) -> None:
    if importlib.util.find_spec("reportlab") is None:
        unavailable("the test of PDF", "reportlab (extra print) is not here")
    with story("taxed") as (receipt, trade):
        made = printed(receipt, trade, "pdf", lang)
        assert printed(receipt, trade, "pdf", lang) == made
    assert made.startswith(b"%PDF-")
    assert made.count(b"/Type /Page\n") == 1


def test_without_reportlab_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reportlab.pdfgen.canvas", None)
    with story("fixed") as (receipt, trade), pytest.raises(ExportRefused, match="html") as refusal:
        printed(receipt, trade, "pdf", "en")
    assert refusal.value.code == "no_reportlab"


def test_the_code_on_the_page_is_the_receipts() -> None:
    with story("fixed") as (receipt, trade):
        bill = bill_of(trade)
        assert bill is not None
        assert sheet_of(check_receipt(receipt), bill, "en").code == paper_code(receipt)
    version = qr_of(paper_code(receipt)).version
    assert isinstance(version, int)
    assert version <= MAX_VERSION


def test_no_text_becomes_markup() -> None:
    html = to_html(replace(sheet("fixed", "en"), total="<img src=x>", rows=(Row("<i>", "&", '"', "'"),)))
    assert "<img" not in html
    assert "<i>" not in html
    assert "&lt;img src=x&gt;" in html
