"""OCPI 2.2.1 as published (github.com/ocpi/ocpi, release-2.2.1-bugfixes of 2026-05-28: types, mod_cdrs, mod_tariffs,
mod_locations, mod_tokens): property, type, length, cardinality. What a Charge Detail Record may hold and must."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

CI, STRING, TIME, NUMBER, BOOL, INT = "CiString", "string", "DateTime", "number", "boolean", "int"

Field = tuple[Any, int, str]
"""Type (a name, another table, or the words of an enumeration), length where it has one, cardinality 1 ? * +."""

PRICE: Final[Mapping[str, Field]] = {"excl_vat": (NUMBER, 0, "1"), "incl_vat": (NUMBER, 0, "?")}

PARTY: Final[Mapping[str, Field]] = {"country_code": (CI, 2, "1"), "party_id": (CI, 3, "1")}

CDR_TOKEN: Final[Mapping[str, Field]] = {
    **PARTY,
    "uid": (CI, 36, "1"),
    "type": (frozenset({"AD_HOC_USER", "APP_USER", "OTHER", "RFID"}), 0, "1"),
    "contract_id": (CI, 36, "1"),
}

GEO_LOCATION: Final[Mapping[str, Field]] = {
    "latitude": (re.compile(r"-?[0-9]{1,2}\.[0-9]{5,7}"), 10, "1"),
    "longitude": (re.compile(r"-?[0-9]{1,3}\.[0-9]{5,7}"), 11, "1"),
}

CDR_LOCATION: Final[Mapping[str, Field]] = {
    "id": (CI, 36, "1"),
    "name": (STRING, 255, "?"),
    "address": (STRING, 45, "1"),
    "city": (STRING, 45, "1"),
    "postal_code": (STRING, 10, "?"),
    "state": (STRING, 20, "?"),
    "country": (STRING, 3, "1"),
    "coordinates": (GEO_LOCATION, 0, "1"),
    "evse_uid": (CI, 36, "1"),
    "evse_id": (CI, 48, "1"),
    "connector_id": (CI, 36, "1"),
    "connector_standard": (
        frozenset(
            {"CHADEMO", "DOMESTIC_F", "IEC_60309_2_three_32", "IEC_62196_T1", "IEC_62196_T1_COMBO", "IEC_62196_T2"}
            | {"IEC_62196_T2_COMBO", "TESLA_S"}
        ),  # of those published, the ones that we have a name for
        0,
        "1",
    ),
    "connector_format": (frozenset({"SOCKET", "CABLE"}), 0, "1"),
    "connector_power_type": (frozenset({"AC_1_PHASE", "AC_2_PHASE", "AC_3_PHASE", "DC"}), 0, "1"),
}

PRICE_COMPONENT: Final[Mapping[str, Field]] = {
    "type": (frozenset({"ENERGY", "FLAT", "PARKING_TIME", "TIME"}), 0, "1"),
    "price": (NUMBER, 0, "1"),
    "vat": (NUMBER, 0, "?"),
    "step_size": (INT, 0, "1"),
}

TARIFF: Final[Mapping[str, Field]] = {
    **PARTY,
    "id": (CI, 36, "1"),
    "currency": (STRING, 3, "1"),
    "elements": ({"price_components": (PRICE_COMPONENT, 0, "+")}, 0, "+"),
    "last_updated": (TIME, 25, "1"),
}

CDR_DIMENSIONS: Final = frozenset(
    {"ENERGY", "MAX_CURRENT", "MIN_CURRENT", "MAX_POWER", "MIN_POWER", "PARKING_TIME", "RESERVATION_TIME", "TIME"}
)
"""Without those that the text allows in sessions only, ENERGY_EXPORT and ENERGY_IMPORT among them."""

CHARGING_PERIOD: Final[Mapping[str, Field]] = {
    "start_date_time": (TIME, 25, "1"),
    "dimensions": ({"type": (CDR_DIMENSIONS, 0, "1"), "volume": (NUMBER, 0, "1")}, 0, "+"),
    "tariff_id": (CI, 36, "?"),
}

SIGNED_VALUE: Final[Mapping[str, Field]] = {
    "nature": (CI, 32, "1"),
    "plain_data": (STRING, 512, "1"),  # 5000 since a correction of the text; older readers still have 512
    "signed_data": (STRING, 5000, "1"),
}

SIGNED_DATA: Final[Mapping[str, Field]] = {
    "encoding_method": (CI, 36, "1"),
    "encoding_method_version": (INT, 0, "?"),
    "public_key": (STRING, 512, "?"),
    "signed_values": (SIGNED_VALUE, 0, "+"),
    "url": (STRING, 512, "?"),
}

CDR: Final[Mapping[str, Field]] = {
    **PARTY,
    "id": (CI, 39, "1"),
    "start_date_time": (TIME, 25, "1"),
    "end_date_time": (TIME, 25, "1"),
    "session_id": (CI, 36, "?"),
    "cdr_token": (CDR_TOKEN, 0, "1"),
    "auth_method": (frozenset({"AUTH_REQUEST", "COMMAND", "WHITELIST"}), 0, "1"),
    "authorization_reference": (CI, 36, "?"),
    "cdr_location": (CDR_LOCATION, 0, "1"),
    "meter_id": (STRING, 255, "?"),
    "currency": (STRING, 3, "1"),
    "tariffs": (TARIFF, 0, "*"),
    "charging_periods": (CHARGING_PERIOD, 0, "+"),
    "signed_data": (SIGNED_DATA, 0, "?"),
    "total_cost": (PRICE, 0, "1"),
    "total_fixed_cost": (PRICE, 0, "?"),
    "total_energy": (NUMBER, 0, "1"),
    "total_energy_cost": (PRICE, 0, "?"),
    "total_time": (NUMBER, 0, "1"),
    "total_time_cost": (PRICE, 0, "?"),
    "total_parking_time": (NUMBER, 0, "?"),
    "total_parking_cost": (PRICE, 0, "?"),
    "total_reservation_cost": (PRICE, 0, "?"),
    "remark": (STRING, 255, "?"),
    "invoice_reference_id": (CI, 39, "?"),
    "credit": (BOOL, 0, "?"),
    "credit_reference_id": (CI, 39, "?"),
    "home_charging_compensation": (BOOL, 0, "?"),
    "last_updated": (TIME, 25, "1"),
}

MAX_ID_WITHOUT_CREDIT: Final = 36

_TIMES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z?")


def deviations(value: Any, table: Mapping[str, Field] = CDR, where: str = "cdr") -> list[str]:
    """Where a JSON object, read with its numbers as int or Decimal, is not as the table says."""
    if not isinstance(value, dict):
        return [f"{where} is no object"]
    wrong = [f"{where}.{name} is not published" for name in value.keys() - table.keys()]
    for name, (kind, length, cardinality) in table.items():
        wrong += _field(value.get(name), kind, length, cardinality, f"{where}.{name}")
    return wrong


def _field(value: Any, kind: Any, length: int, cardinality: str, where: str) -> list[str]:
    if value is None:
        return [] if cardinality in "?*" else [f"{where} is missing"]
    if cardinality in "*+":
        if not isinstance(value, list) or (cardinality == "+" and not value):
            return [f"{where} is no list, or an empty one"]
        return [each for item in value for each in _one(item, kind, length, where)]
    return _one(value, kind, length, where)


def _one(value: Any, kind: Any, length: int, where: str) -> list[str]:
    if isinstance(kind, Mapping):
        return deviations(value, kind, where)
    if isinstance(value, str) and length and len(value) > length:
        return [f"{where} is longer than {length}"]
    return [] if _is(value, kind) else [f"{where} is no {kind}: {value!r}"]


def _is(value: Any, kind: Any) -> bool:
    if kind in (INT, NUMBER, BOOL):
        types: dict[str, tuple[type, ...]] = {INT: (int,), NUMBER: (int, Decimal), BOOL: (bool,)}
        return type(value) in types[kind] and (kind != NUMBER or _digits(value) <= 4)
    if not isinstance(value, str) or not value.isprintable():
        return False
    if isinstance(kind, frozenset):
        return value in kind
    if isinstance(kind, re.Pattern):
        return kind.fullmatch(value) is not None
    return {CI: value.isascii(), STRING: True, TIME: _TIMES.fullmatch(value) is not None}[kind]


def _digits(value: int | Decimal) -> int:
    """Behind the point: "numbers use 4 decimals"."""
    exponent = Decimal(value).as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 99
