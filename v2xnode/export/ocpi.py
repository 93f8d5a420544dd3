"""Charge Detail Records of OCPI 2.2.1 (ocpi/ocpi, release-2.2.1-bugfixes, mod_cdrs), one JSON object a line.

A record is about a vehicle at a point of connection. Between two vehicles the client is the one that charges, at the
provider's; with a home, a building or a load it is the provider that discharges, at the client's: its energy and cost
are negative. Records never change: what was settled after a dispute is credited whole, and charged anew.
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from market.settlement import LineKind, price_lines
from market.units import MS_PER_SECOND, Role, Service
from v2xnode.export.errors import ExportRefused
from v2xnode.export.figures import four, hours, json_text, kwh, money, rfc3339
from v2xnode.export.interface import Numbered, Source
from v2xnode.export.ocmf import ocmf_payload, ocmf_record
from v2xnode.export.ocpi_place import location
from v2xnode.settling.bill import Bill, bill_of
from v2xnode.settling.trades import Trade

CONCLUDED: Final = frozenset({"settled", "resolved"})
"""States in which both parties have signed the totals. Others may still change, and a record may not."""

ID_DIGITS: Final = 32
"""Hexadecimal digits of an id: 16 bytes, in one case, within OCPI's 36 characters with room for a suffix."""

CREDIT, CORRECTED = "-c", "-r"
"""Suffixes of ids: of the credit of a record, and of the record after it."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Totals:
    """What one record charges. sign: -1 for a discharge."""

    bill: Bill
    sign: int
    at_ms: int

    def part(self, *kinds: LineKind) -> int:
        """The amount of the lines of these kinds, in millionths."""
        lines = zip(price_lines(self.bill.offer), self.bill.amounts_micro, strict=True)
        return self.sign * sum(amount_micro for line, amount_micro in lines if line.kind in kinds)


FEES: Final = (LineKind.SESSION_FEE, LineKind.TRAVEL_FEE)


def export(source: Source) -> Iterator[str]:
    """The records of each trade whose totals both have signed; after a resolved dispute three."""
    for each in source.trades:
        for record in cdrs(source, each):
            yield json_text(record)


def cdrs(source: Source, numbered: Numbered) -> Sequence[Json]:
    """The record of a trade, and after a resolved dispute its credit and the corrected one; none where nothing flowed.
    Raises ExportRefused."""
    trade = numbered.trade
    bill = bill_of(trade) if trade.state in CONCLUDED else None
    if bill is None or trade.settlement is None or not bill.tally.agreed_wh:
        return ()
    if bill.amounts_micro != trade.settlement.amounts_micro:
        raise ExportRefused(f"Trade {trade.request_id.hex()} was settled over other sums than its receipts come to.")
    sign = 1 if _charged(trade) is Role.CLIENT else -1
    first = _cdr(source, numbered, Totals(bill, sign, max(trade.settled_at_ms, bill.tally.at_ms)))
    resolved = trade.resolution
    if resolved is None:
        return (first,)
    at_ms = max(resolved.at_s * MS_PER_SECOND, bill.tally.at_ms)
    corrected = _cdr(source, numbered, Totals(bill.resolved_at(resolved.agreed_wh), sign, at_ms))
    return first, credit(first, at_ms), corrected | {"id": first["id"] + CORRECTED}


def credit(record: Json, at_ms: int) -> Json:
    """The credit of a record: all its data, and the total cost negated (OCPI 2.2.1, "Credit CDRs")."""
    return record | {
        "id": record["id"] + CREDIT,
        "total_cost": {name: -cost for name, cost in record["total_cost"].items()},
        "credit": True,
        "credit_reference_id": record["id"],
        "last_updated": rfc3339(at_ms),
    }


def _charged(trade: Trade) -> Role:
    """Which side the record's vehicle is on."""
    return Role.CLIENT if trade.request is not None and trade.request.service is Service.V2V else Role.PROVIDER


def _cdr(source: Source, numbered: Numbered, totals: Totals) -> Json:
    trade, bill, party = numbered.trade, totals.bill, source.config.ocpi
    at_site = _charged(trade).other
    ours = {"country_code": party.country_code, "party_id": party.party_id}
    return {
        **ours,
        "id": trade.request_id.hex(),
        "start_date_time": rfc3339(bill.started_at_ms),
        "end_date_time": rfc3339(bill.tally.at_ms),
        "session_id": trade.request_id.hex(),
        "cdr_token": {**ours, **_token(_key_of(source, trade, _charged(trade)))},
        "auth_method": "WHITELIST",
        "cdr_location": location(source.config, trade, _key_of(source, trade, at_site)),
        "meter_id": source.ledger.node.hex(),
        "currency": _currency(trade),
        "tariffs": [{**ours, **tariff} for tariff in _tariffs(trade, totals)],
        "charging_periods": _periods(trade, totals),
        **_signed_data(source, numbered),
        **_costs(totals),
        "total_energy": kwh(totals.sign * bill.tally.agreed_wh),
        "total_time": hours(bill.tally.at_ms - bill.started_at_ms),
        "remark": f"V2X trade, exactly {money(totals.part(*LineKind))} {_currency(trade)}",
        "last_updated": rfc3339(totals.at_ms),
    }


def _key_of(source: Source, trade: Trade, role: Role) -> bytes:
    return source.ledger.node if trade.role is role else trade.peer


def _token(key: bytes) -> Json:
    digits = key.hex()[:ID_DIGITS]
    return {"uid": digits, "type": "OTHER", "contract_id": digits}


def _currency(trade: Trade) -> str:
    """Three capital letters: the ledger books nothing in another."""
    return trade.offer.currency if trade.offer else ""


def _tariff_id(trade: Trade, line: int) -> str:
    return f"{trade.request_id.hex()}-{line}"


def _tariffs(trade: Trade, totals: Totals) -> list[Json]:
    """One for each price step that counted, since a step's edge may lie anywhere in time or energy; the fees are a flat
    part of the first. Charging periods say which one counts."""
    prices, tax = [step.price_micro_per_kwh for step in totals.bill.offer.price_steps], _tax(totals.bill)
    tariffs: list[Json] = []
    for stretch in totals.bill.stretches:
        parts = [{"type": "ENERGY", "price": four(money(prices[stretch.line])), **tax, "step_size": 1}]
        fees_micro = abs(totals.part(*FEES))
        if fees_micro and not tariffs:
            parts.append({"type": "FLAT", "price": four(money(totals.sign * fees_micro)), **tax, "step_size": 1})
        tariffs.append(
            {
                "id": _tariff_id(trade, stretch.line),
                "currency": _currency(trade),
                "elements": [{"price_components": parts}],
                "last_updated": rfc3339(totals.bill.started_at_ms),
            }
        )
    return tariffs


def _tax(bill: Bill) -> Json:
    permyriad = bill.offer.tax_permyriad
    return {"vat": (Decimal(permyriad) / 100).quantize(Decimal("0.01"))} if permyriad else {}


def _periods(trade: Trade, totals: Totals) -> list[Json]:
    return [
        {
            "start_date_time": rfc3339(stretch.start_at_ms),
            "dimensions": [{"type": "ENERGY", "volume": kwh(totals.sign * stretch.energy_wh)}],
            "tariff_id": _tariff_id(trade, stretch.line),
        }
        for stretch in totals.bill.stretches
    ]


def _costs(totals: Totals) -> Json:
    """Rounded to four digits so that the parts sum up to the total: the energy's takes what is left."""
    tax = totals.part(LineKind.TAX)
    net, fees = totals.part(LineKind.ENERGY, *FEES), totals.part(*FEES)
    total_cost, fixed_cost = _price(net, net + tax), _price(fees, fees + _share(tax, fees, net))
    energy_cost = {name: total_cost[name] - fixed_cost[name] for name in total_cost}
    return {
        "total_cost": total_cost,
        **({"total_fixed_cost": fixed_cost} if fees else {}),
        "total_energy_cost": energy_cost,
    }


def _price(net_micro: int, gross_micro: int) -> dict[str, Decimal]:
    return {"excl_vat": four(money(net_micro)), "incl_vat": four(money(gross_micro))}


def _share(tax_micro: int, part_micro: int, net_micro: int) -> int:
    """The part's share of a tax, to the millionth."""
    return tax_micro * part_micro // net_micro if net_micro else 0


def _signed_data(source: Source, numbered: Numbered) -> Json:
    """Our own meter's signed record, where a meter key is bound."""
    if source.meter is None:
        return {}
    plain = ocmf_payload(numbered, source.ledger.node)
    signed = ocmf_record(numbered, source.meter, source.ledger.node)
    if plain is None or signed is None:
        return {}
    value = {"nature": "End", "plain_data": plain, "signed_data": base64.b64encode(signed.encode()).decode()}
    public_key = base64.b64encode(source.meter.spki).decode()
    return {"signed_data": {"encoding_method": "OCMF", "public_key": public_key, "signed_values": [value]}}
