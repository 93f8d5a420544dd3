"""From a receipt to the printed page."""

from ledger.files.receipt import Receipt
from v2xnode.export.errors import ExportRefused
from v2xnode.export.printable.html import to_html
from v2xnode.export.printable.pdf import to_pdf
from v2xnode.export.printable.sheet import sheet_of
from v2xnode.export.receipt import check_receipt
from v2xnode.settling.bill import Bill, bill_of
from v2xnode.settling.trades import Trade


def printed(receipt: Receipt, trade: Trade, form: str, lang: str) -> bytes:
    """A receipt as a page. form: html or pdf; lang: one of `sheet.languages`. Raises ExportRefused."""
    sheet = sheet_of(check_receipt(receipt), _bill(trade), lang)
    return to_html(sheet).encode() if form == "html" else to_pdf(sheet)


def _bill(trade: Trade) -> Bill:
    """What counts in the end, after a dispute too."""
    bill = bill_of(trade)
    if bill is None:
        raise ExportRefused(f"Nothing was metered in trade {trade.request_id.hex()}.", code="no_receipt")
    return bill if trade.resolution is None else bill.resolved_at(trade.resolution.agreed_wh)
