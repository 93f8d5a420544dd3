"""One line for each trade, for spreadsheets (RFC 4180, header first)."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any, Final

from market.settlement import LineKind, price_lines
from v2xnode.export.figures import kwh, money, rfc3339
from v2xnode.export.interface import Source
from v2xnode.settling.bill import bill_of
from v2xnode.settling.trades import Trade

COLUMNS: Final = (
    "request_id", "role", "peer", "service", "profile", "state", "reason", "started_at", "ended_at", "settled_at",
    "provider_kwh", "client_kwh", "agreed_kwh", "currency", "energy_cost", "fees", "tax", "total",
)  # fmt: skip

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What spreadsheets take for a formula where a text begins with it; a peer chose some of the texts."""


def export(source: Source) -> Iterator[str]:
    """The header, then one line a trade, whatever came of it. Energy in kWh, amounts in the currency's main unit, times
    in UTC; empty where there is none."""
    yield _line(COLUMNS)
    for each in source.trades:
        row = _row(each.trade)
        yield _line([row[column] for column in COLUMNS])


def _line(cells: Any) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()


def _row(trade: Trade) -> dict[str, object]:
    told, bill = trade.as_json(), bill_of(trade)
    texts = {
        name: _safe(told[name]) for name in ("request_id", "role", "peer", "service", "profile", "state", "reason")
    }
    return {
        **texts,
        "started_at": rfc3339(bill.started_at_ms) if bill else "",
        "ended_at": rfc3339(bill.tally.at_ms) if bill else "",
        "settled_at": rfc3339(trade.settled_at_ms) if trade.settlement else "",
        **{f"{name}_kwh": kwh(energy_wh) for name, energy_wh in told["delivered_wh"].items()},
        "currency": _safe(told["currency"]),
        **_amounts(trade),
    }


def _amounts(trade: Trade) -> Mapping[str, object]:
    lines = [line.kind for line in price_lines(trade.offer)] if trade.offer else []
    parts = dict.fromkeys(("energy_cost", "fees", "tax"), 0)
    for kind, amount_micro in zip(lines, trade.amounts_micro, strict=False):
        parts[_COLUMN_OF.get(kind, "fees")] += amount_micro
    return {name: money(amount_micro) for name, amount_micro in parts.items()} | {
        "total": money(sum(trade.amounts_micro))
    }


_COLUMN_OF: Final = {LineKind.ENERGY: "energy_cost", LineKind.TAX: "tax"}


def _safe(text: str | None) -> str:
    return f"'{text}" if text and text.startswith(_FORMULA) else text or ""
