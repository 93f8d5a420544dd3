"""The page as HTML: one file, no script, nothing fetched; A4 on paper, readable on a phone."""

from collections.abc import Iterator
from html import escape
from typing import Final

from v2xnode.export.printable.code import qr_of
from v2xnode.export.printable.sheet import Party, Row, Sheet

STYLE: Final = """
@page { size: A4; margin: 0 }
* { box-sizing: border-box; margin: 0 }
html { background: #eceeea; color: #1d2a26; font: 15px/1.5 "Inter", "Segoe UI", "Helvetica Neue", Arial, sans-serif }
body { max-width: 210mm; min-height: 297mm; margin: 0 auto; padding: 18mm 20mm 14mm; background: #fff }
.page { display: flex; flex-direction: column; min-height: 265mm }
header { display: flex; justify-content: space-between; align-items: flex-start; padding-bottom: 9mm }
h1 { font-size: 27px; font-weight: 600; letter-spacing: -.01em; line-height: 1.2 }
header p, dt, th, .label { color: #66756f; font-size: 12.5px; font-weight: 400 }
.state { text-align: right }
.state b { display: inline-block; padding: 1px 10px; border-radius: 20px; background: #e3f1ea; color: #14634a }
.state b { font-size: 12.5px; font-weight: 600 }
.total { display: flex; justify-content: space-between; align-items: baseline; padding: 6mm 8mm }
.total { border-radius: 10px; background: #12352b; color: #fff }
.total span { opacity: .75 }
.total strong { font-size: 32px; font-weight: 600; letter-spacing: -.02em; font-variant-numeric: tabular-nums }
.parties { display: grid; grid-template-columns: 1fr 1fr; gap: 10mm; padding: 8mm 0 }
.parties b { display: block; font: 600 15px/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, monospace }
.key { font: 9.5px/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, monospace; color: #8a9691 }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums }
th { text-align: left; padding: 0 0 2mm; border-bottom: 1px solid #c9d2cd }
td { padding: 2.4mm 0; border-bottom: 1px solid #e6eae7 }
th + th, td + td { text-align: right; padding-left: 4mm; white-space: nowrap }
dl { display: grid; grid-template-columns: repeat(4, auto); gap: 2mm 8mm; padding: 8mm 0 }
dd { font-variant-numeric: tabular-nums; font-size: 13.5px; white-space: nowrap }
.proof { margin-top: auto; display: flex; gap: 9mm; align-items: center; padding-top: 7mm }
.proof { border-top: 1px solid #c9d2cd }
.proof svg { flex: none; width: 52mm; height: 52mm }
h2 { font-size: 15px; font-weight: 600; padding-bottom: 1mm }
.proof p { font-size: 12px; color: #44524c; padding-bottom: 1.5mm }
@media print {
  html { background: #fff }
  .total, .state b { print-color-adjust: exact; -webkit-print-color-adjust: exact }
}
@media screen and (max-width: 720px) {
  body { padding: 7mm 6mm }
  .page, body { min-height: 0 }
  header, .proof { flex-direction: column; gap: 4mm }
  .state { text-align: left }
  .parties, dl { grid-template-columns: 1fr; gap: 3mm }
  td:nth-child(3), th:nth-child(3) { display: none }
  .total strong { font-size: 24px }
}
"""


def to_html(sheet: Sheet) -> str:
    """The whole document."""
    rows = "".join(_row(row) for row in sheet.rows)
    facts = "".join(f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>" for label, value in sheet.facts)
    head = "".join(f"<th>{escape(each)}</th>" for each in sheet.headings)
    return f"""<!doctype html>
<html lang="{sheet.lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(sheet.title)} {sheet.reference[1][:12]}</title>
<style>{STYLE}</style>
</head>
<body>
<div class="page">
<header>
<div><h1>{escape(sheet.title)}</h1><p>{escape(sheet.service)}</p></div>
<div class="state"><b>{escape(sheet.state)}</b><p>{escape(sheet.when)} UTC</p></div>
</header>
<section class="total"><span>{escape(sheet.total_label)}</span><strong>{escape(sheet.total)}</strong></section>
<section class="parties">{"".join(_party(each) for each in sheet.parties)}</section>
<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>
<dl>{facts}</dl>
<section class="proof">{"".join(_proof(sheet))}</section>
</div>
</body>
</html>
"""


def _party(party: Party) -> str:
    key = f'<div class="key">{party.key[:32]}<wbr>{party.key[32:]}</div>'
    return f'<div><div class="label">{escape(party.label)}</div><b>{party.short}</b>{key}</div>'


def _row(row: Row) -> str:
    cells = (row.label, row.quantity, row.price, row.amount)
    return f"<tr>{''.join(f'<td>{escape(each)}</td>' for each in cells)}</tr>"


def _proof(sheet: Sheet) -> Iterator[str]:
    if sheet.code:
        yield qr_of(sheet.code).svg_inline(border=0, omitsize=True, dark="#12352b")
    said = "".join(f"<p>{escape(each)}</p>" for each in sheet.proof)
    label, reference = sheet.reference
    reference = f'<p class="key">{escape(label)} {reference}</p>'
    yield f"<div><h2>{escape(sheet.proof_title)}</h2>{said}{reference}</div>"
