"""The page as PDF, drawn with reportlab (extra `print`)."""

import io
from typing import Any, Final, cast

from v2xnode.export.errors import ExportRefused
from v2xnode.export.printable.code import qr_of
from v2xnode.export.printable.sheet import Party, Sheet

MM: Final = 72 / 25.4
WIDTH, HEIGHT = 210 * MM, 297 * MM
LEFT, RIGHT = 20 * MM, 190 * MM
DARK, INK, GREY, LIGHT, RULE = "#12352b", "#1d2a26", "#66756f", "#8a9691", "#c9d2cd"
QR_MM: Final = 52
ROW_MM, ROWS_MM = 8.4, 95
"""A line of the bill, and the room for all of them: a bill has up to 29, and then they are smaller."""


def to_pdf(sheet: Sheet) -> bytes:
    """One page; the same bytes for the same sheet. Raises ExportRefused where reportlab is not installed."""
    try:
        from reportlab.pdfgen.canvas import Canvas
    except ImportError:
        sentence = "PDF needs reportlab: install v2xnode[print], or take --format html and print that."
        raise ExportRefused(sentence, code="no_reportlab") from None
    out = io.BytesIO()
    canvas: Any = cast(Any, Canvas)(out, pagesize=(WIDTH, HEIGHT), invariant=True, lang=sheet.lang)
    canvas.setTitle(f"{sheet.title} {sheet.reference[1][:12]}")
    _Page(canvas, sheet).draw()
    canvas.save()
    return out.getvalue()


class _Page:
    """Draws from the top down; `y` is where the next line stands."""

    def __init__(self, canvas: Any, sheet: Sheet) -> None:
        self.canvas, self.sheet = canvas, sheet
        self.y = HEIGHT - 24 * MM

    def draw(self) -> None:
        self.head()
        self.total()
        self.parties()
        self.bill()
        self.facts()
        self.proof()

    def text(
        self, x: float, text: str, size: float, *, colour: str = INK, font: str = "Helvetica", right: bool = False
    ) -> None:
        self.canvas.setFont(font, size)
        self.canvas.setFillColor(colour)
        (self.canvas.drawRightString if right else self.canvas.drawString)(x, self.y, text)

    def down(self, mm: float) -> None:
        self.y -= mm * MM

    def rule(self, colour: str = RULE) -> None:
        self.canvas.setStrokeColor(colour)
        self.canvas.setLineWidth(0.5)
        self.canvas.line(LEFT, self.y, RIGHT, self.y)

    def head(self) -> None:
        sheet = self.sheet
        self.text(LEFT, sheet.title, 21, font="Helvetica-Bold")
        self.text(RIGHT, sheet.state, 9.5, colour="#14634a", font="Helvetica-Bold", right=True)
        self.down(6)
        self.text(LEFT, sheet.service, 10, colour=GREY)
        self.text(RIGHT, f"{sheet.when} UTC", 9.5, colour=GREY, right=True)
        self.down(13)

    def total(self) -> None:
        self.canvas.setFillColor(DARK)
        self.canvas.roundRect(LEFT, self.y - 15 * MM, RIGHT - LEFT, 20 * MM, 8, stroke=0, fill=1)
        self.down(7.5)
        self.text(LEFT + 8 * MM, self.sheet.total_label, 11, colour="#b9c7c1")
        self.text(RIGHT - 8 * MM, self.sheet.total, 24, colour="#ffffff", font="Helvetica-Bold", right=True)
        self.down(18)

    def parties(self) -> None:
        top = self.y
        for at, party in enumerate(self.sheet.parties):
            self.y = top
            self.party(party, LEFT + at * 90 * MM)
        self.down(11)

    def party(self, party: Party, x: float) -> None:
        self.text(x, party.label, 9.5, colour=GREY)
        self.down(6)
        self.text(x, party.short, 11, font="Courier-Bold")
        for half in (party.key[:32], party.key[32:]):
            self.down(4)
            self.text(x, half, 6.5, colour=LIGHT, font="Courier")

    def bill(self) -> None:
        columns = ((LEFT, False), (118 * MM, True), (157 * MM, True), (RIGHT, True))
        pitch = min(ROW_MM, ROWS_MM / len(self.sheet.rows))
        self.cells(columns, self.sheet.headings, 9.5, GREY)
        self.down(2.5)
        self.rule()
        for row in self.sheet.rows:
            self.down(0.7 * pitch)
            self.cells(columns, (row.label, row.quantity, row.price, row.amount), 10.5 * pitch / ROW_MM, INK)
            self.down(0.3 * pitch)
            self.rule("#e6eae7")
        self.down(11)

    def cells(self, columns: Any, texts: tuple[str, ...], size: float, colour: str) -> None:
        for (x, right), text in zip(columns, texts, strict=True):
            self.text(x, text, size, colour=colour, right=right)

    def facts(self) -> None:
        top = self.y
        for (label, value), x in zip(self.sheet.facts, (20, 88, 122, 156), strict=True):
            self.y = top
            self.text(x * MM, label, 8.5, colour=GREY)
            self.down(5)
            self.text(x * MM, value, 9.5)

    def proof(self) -> None:
        self.y = (QR_MM + 22) * MM
        self.rule()
        x = LEFT
        if self.sheet.code:
            self.qr(LEFT, 15 * MM)
            x += (QR_MM + 9) * MM
        self.down(11)
        self.text(x, self.sheet.proof_title, 11.5, font="Helvetica-Bold")
        self.down(1.5)
        for paragraph in self.sheet.proof:
            self.paragraph(x, paragraph)
        label, reference = self.sheet.reference
        self.down(5)
        self.text(x, f"{label} {reference}", 7, colour=LIGHT, font="Courier")

    def paragraph(self, x: float, text: str) -> None:
        from reportlab.lib.utils import simpleSplit

        split: Any = simpleSplit
        for line in split(text, "Helvetica", 8.8, RIGHT - x):
            self.down(4.1)
            self.text(x, line, 8.8, colour="#44524c")
        self.down(1.2)

    def qr(self, x: float, y: float) -> None:
        matrix = qr_of(self.sheet.code or "").matrix
        side = QR_MM * MM / len(matrix)
        self.canvas.setFillColor(DARK)
        for down, row in enumerate(matrix):
            for across, dark in enumerate(row):
                if dark:
                    self.canvas.rect(
                        x + across * side, y + (len(matrix) - 1 - down) * side, side, side, stroke=0, fill=1
                    )
