"""Signed meter values in the Open Charge Metering Format (S.A.F.E. e.V., OCMF 1.3), one record a trade.

The reading is that of this node's own meter, not the energy that counts: a provider's record shows exported energy, a
client's imported. The registers are those of one transaction, 0 at its beginning. The meter's key signs (ECDSA P-256);
a KEY entry of the chain says whose it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from market.terms import Dispute, Interval, Receipt
from market.terms.electrical import CurrentKind
from market.units import Role
from v2xnode.export.errors import ExportRefused
from v2xnode.export.figures import json_text, kwh, moment
from v2xnode.export.interface import Numbered, Source
from v2xnode.meter_key import MeterKey
from v2xnode.settling.trades import Trade

FORMAT_VERSION: Final = "1.3"
"""1.4 is refused by some verifiers, and brings nothing that is needed here."""

EXPORTED, IMPORTED = "01-00:C2.08.00*FF", "01-00:B2.08.00*FF"
"""Energy of one transaction at the mains side, out of and into this node (OCMF, table 25)."""

PEER_DIGITS: Final = 40
"""Of the peer's key: what the field for a user's identification holds (OCMF, "Identification Type")."""


@dataclass(frozen=True, slots=True)
class Readings:
    """Our own meter over one delivery: when it began and ended, and what was counted between."""

    began_at_ms: int
    ended_at_ms: int
    energy_wh: int


def export(source: Source) -> Iterator[str]:
    """A record for each trade that our meter measured. Raises ExportRefused where no meter key is bound."""
    meter = source.meter
    if meter is None:
        sentence = "The chain names no meter key of this node: run `v2xnode ledger meter-key` while it is stopped."
        raise ExportRefused(sentence, code="no_meter_key")
    for each in source.trades:
        if (record := ocmf_record(each, meter, source.ledger.node)) is not None:
            yield record


def ocmf_record(numbered: Numbered, meter: MeterKey, node: bytes) -> str | None:
    """The signed record of a trade, None where our meter has no two readings of it."""
    payload = ocmf_payload(numbered, node)
    if payload is None:
        return None
    signature = {"SA": "ECDSA-secp256r1-SHA256", "SE": "hex", "SD": meter.sign(payload.encode()).hex()}
    return f"OCMF|{payload}|{json_text(signature)}"


def ocmf_payload(numbered: Numbered, node: bytes) -> str | None:
    """The part that is signed: general information, the peer as the user, and the two readings."""
    trade, read = numbered.trade, readings(numbered.trade)
    if read is None or trade.offer is None:
        return None
    payload: dict[str, Any] = {
        "FV": FORMAT_VERSION,
        "GI": "v2xnode",
        "GS": node.hex(),
        "GV": version("v2xnode"),
        "PG": f"T{numbered.number}",
        "IS": True,
        "IL": "CERTIFIED",
        "IF": [],
        "IT": "UNDEFINED",
        "ID": trade.peer.hex()[:PEER_DIGITS],
        "U": trade.request_id.hex(),
        "RD": _both(trade, read),
    }
    return json_text(payload)


def _both(trade: Trade, read: Readings) -> list[dict[str, Any]]:
    """The reading at the beginning, and of the one at the end what differs (OCMF, "Readings")."""
    is_dc = trade.offer is not None and trade.offer.profile.current_kind is CurrentKind.DC
    begin: dict[str, Any] = {
        "TM": _time(read.began_at_ms),
        "TX": "B",
        "RV": kwh(0),
        "RI": EXPORTED if trade.role is Role.PROVIDER else IMPORTED,
        "RU": "kWh",
        "RT": "DC" if is_dc else "AC",
        "ST": "G",
    }
    return [begin, {"TM": _time(read.ended_at_ms), "TX": "E", "RV": kwh(read.energy_wh)}]


def _time(at_ms: int) -> str:
    """By an informative clock (I): nobody vouches for the time of a car."""
    return f"{moment(at_ms):%Y-%m-%dT%H:%M:%S},{at_ms % 1000:03d}+0000 I"


def readings(trade: Trade) -> Readings | None:
    """What our own meter showed from the opening to the last interval, a disputed one included."""
    intervals: list[Interval] = trade.of(Interval)
    ends = {interval.number: interval.end_at_ms for interval in intervals}
    counted = _exported(intervals) if trade.role is Role.PROVIDER else _imported(trade)
    numbers = [number for number in counted if number in ends]
    if len(numbers) < 2:
        return None
    first, last = min(numbers), max(numbers)
    return Readings(ends[first], ends[last], counted[last] - counted[first])


def _exported(intervals: list[Interval]) -> dict[int, int]:
    return {interval.number: interval.register_wh for interval in intervals}


def _imported(trade: Trade) -> dict[int, int]:
    """Of a client, by its Receipts; and by its Dispute, which says what its meter has counted since the first."""
    receipts: list[Receipt] = trade.of(Receipt)
    registers = {receipt.number: receipt.register_wh for receipt in receipts}
    disputes: list[Dispute] = [m for stored, m in trade.entries if stored.own and isinstance(m, Dispute)]
    opening_wh = registers.get(0, 0)
    return registers | {dispute.number: opening_wh + dispute.client_wh for dispute in disputes if 0 in registers}
