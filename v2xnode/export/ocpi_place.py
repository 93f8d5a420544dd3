"""Where a trade took place, as OCPI wants it (2.2.1, CdrLocation): from the configuration, the request and the keys."""

from typing import Any, Final

from market.terms import Connector, CurrentKind, Profile
from v2xnode.config import Config
from v2xnode.export.errors import ExportRefused
from v2xnode.settling.trades import Trade

NOT_AVAILABLE: Final = "#NA"
"""For a required text that nobody has (OCPI 2.2.1, "No data available"): a car on a field has no address."""

ID_DIGITS: Final = 32
OUTLET_DIGITS: Final = 24
"""Of the key in an EVSE id, whose last part has 31 characters at most (eMI3)."""

_AC_DC = frozenset(CurrentKind)
CONNECTORS: Final = {
    Connector.CCS2: ("IEC_62196_T2_COMBO", {CurrentKind.DC}),
    Connector.CCS1: ("IEC_62196_T1_COMBO", {CurrentKind.DC}),
    Connector.CHADEMO: ("CHADEMO", {CurrentKind.DC}),
    Connector.TYPE2: ("IEC_62196_T2", {CurrentKind.AC}),
    Connector.TYPE1: ("IEC_62196_T1", {CurrentKind.AC}),
    Connector.SCHUKO: ("DOMESTIC_F", {CurrentKind.AC}),
    Connector.CEE: ("IEC_60309_2_three_32", {CurrentKind.AC}),
    Connector.NACS: ("TESLA_S", _AC_DC),
}
"""OCPI's name of each connector, and the currents that it carries. 2.2.1 knows NACS by its older name."""

_REQUIRED: Final = ("country_code", "party_id", "country")


def location(config: Config, trade: Trade, key: bytes) -> dict[str, Any]:
    """The point of connection of the side with this key. Raises ExportRefused, naming what the configuration lacks."""
    place = config.ocpi
    missing = [name for name in _REQUIRED if not getattr(place, name)]
    coordinates = _coordinates(config, trade)
    missing += [] if coordinates else ["latitude", "longitude"]
    if missing or coordinates is None:
        raise ExportRefused(f"OCPI needs {', '.join(missing)} under [ocpi] in config.toml.", code="ocpi_not_configured")
    return {
        "id": key.hex()[:ID_DIGITS],
        "address": place.address or NOT_AVAILABLE,
        "city": place.city or NOT_AVAILABLE,
        **({"postal_code": place.postal_code} if place.postal_code else {}),
        "country": place.country,
        "coordinates": coordinates,
        "evse_uid": key.hex()[:ID_DIGITS],
        "evse_id": f"{place.country_code}*{place.party_id}*E{key.hex()[:OUTLET_DIGITS].upper()}",
        "connector_id": "1",
        **_connector(config, _profile(trade)),
    }


def _coordinates(config: Config, trade: Trade) -> dict[str, str] | None:
    """Where the request said it would be, else where the configuration says the node is."""
    if trade.request is not None and trade.request.place:
        latitude, longitude = (_degrees(each) for each in trade.request.place)
    else:
        latitude, longitude = config.ocpi.latitude, config.ocpi.longitude
    return {"latitude": latitude, "longitude": longitude} if latitude and longitude else None


def _degrees(hundred_thousandths: int) -> str:
    sign, size = "-" if hundred_thousandths < 0 else "", abs(hundred_thousandths)
    return f"{sign}{size // 100_000}.{size % 100_000:05d}"


def _profile(trade: Trade) -> Profile:
    if trade.offer is None:
        raise ExportRefused(f"The offer of trade {trade.request_id.hex()} is not held.")
    return trade.offer.profile


def _connector(config: Config, profile: Profile) -> dict[str, str]:
    """The first of our own connectors that carries this current: which one was used stands in no entry."""
    kind, is_ac = profile.current_kind, profile.current_kind is CurrentKind.AC
    names = (CONNECTORS[Connector[name]] for name in config.electrical.connectors if name in Connector.__members__)
    standard = next((name for name, kinds in names if kind in kinds), None)
    if standard is None:
        sentence = f"None of the connectors under [electrical] carries {kind.name}; OCPI wants the name of one."
        raise ExportRefused(sentence, code="ocpi_not_configured")
    power = "DC" if not is_ac else "AC_3_PHASE" if config.electrical.phases == 3 else "AC_1_PHASE"
    return {
        "connector_standard": standard,
        "connector_format": "SOCKET" if profile is Profile.AC_OUTLET else "CABLE",
        "connector_power_type": power,
    }
