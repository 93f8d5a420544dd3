"""Data of real vehicles and standard loads that feed the simulated plant.

The files lie in `data/`, each with its licence and with an origin for every value (`data/README.md`). Nothing is
read at import. Every call reads its file anew and checks it whole: a file that breaks one rule gives nothing.
All numbers are integers in the unit that ends their name; permille of SoC is permille of the usable energy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.resources import files
from typing import Any, Final, TypeVar

from v2xnode.devices.strict_json import (
    ImplausibleInput,
    MalformedInput,
    RealInputError,
    exact_fields,
    integer_of,
    list_of,
    mapping_of,
    member_of,
    pair_of,
    read_document,
    refuse_twins,
    text_of,
)

__all__ = [
    "EvModel",
    "ImplausibleInput",
    "LoadProfile",
    "MalformedInput",
    "Origin",
    "OutsideRange",
    "RealInputError",
    "TaperPoint",
    "UnknownInput",
    "UnsourcedValue",
    "cabin",
    "ev_model",
    "ev_models",
    "household",
    "parse_cabin",
    "parse_ev_models",
    "parse_household",
]

Item = TypeVar("Item")

DAY_MS: Final = 86_400_000
QUARTER_MS: Final = 900_000  # the resolution of the BDEW profiles and of European settlement
QUARTERS_A_DAY: Final = DAY_MS // QUARTER_MS
FULL_PERMILLE: Final = 1000

MAX_ENERGY_WH: Final = 1_000_000  # no road vehicle stores a megawatt-hour: more is a slip of units
MAX_POWER_W: Final = 1_000_000  # likewise; CCS ends below this
MAX_VOLTAGE_MV: Final = 1_500_000  # the upper edge of low-voltage DC (Directive 2014/35/EU)
MAX_DAY_SHARE_PERMILLE: Final = 6  # of a year's energy in one day; the mean is 2.7, a cold day well below 6
MIN_DAY_SHARE_PERMILLE: Final = 1

ASSUMED: Final = "assumed"
AC_CONNECTORS: Final = frozenset({"type1", "type2"})
DC_CONNECTORS: Final = frozenset({"ccs1", "ccs2", "chademo"})


class UnsourcedValue(RealInputError):
    """The file's fault: a value without an origin, or an origin that its catalogue does not know."""

    code = "real_input_unsourced"


class UnknownInput(RealInputError):
    """The caller's fault: no such model or profile."""

    code = "real_input_unknown"


class OutsideRange(RealInputError):
    """The caller's fault: a time outside the day, or a SoC outside 0..1000 permille."""

    code = "real_input_outside_range"


@dataclass(frozen=True, slots=True)
class TaperPoint:
    """At `soc_permille` the vehicle takes at most `power_permille` of its DC maximum."""

    soc_permille: int
    power_permille: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one field's value comes from: a key of the file's catalogue of sources or `assumed`, and a note."""

    field: str
    source: str
    note: str

    @property
    def assumed(self) -> bool:
        return self.source == ASSUMED


@dataclass(frozen=True, slots=True)
class EvModel:
    """One vehicle model as its maker or a named source describes it.

    `discharge_w` is the DC power out of the charge port, `outlet_w` the AC power of its V2L outlet; 0 means none.
    `mode2_efficiency_permille` is battery side over plug side for a portable charger at 10 A on one phase,
    `ac_charge_efficiency_permille` the same at `ac_charge_w`. `discharge_floor_soc_permille` is the maker's own floor.
    """

    model_id: str
    name: str
    nominal_energy_wh: int
    usable_energy_wh: int
    ac_charge_w: int
    ac_phases: int
    ac_charge_efficiency_permille: int
    mode2_efficiency_permille: int
    dc_charge_w: int
    discharge_w: int
    outlet_w: int
    discharge_floor_soc_permille: int
    pack_voltage_mv: int
    pack_min_voltage_mv: int
    pack_max_voltage_mv: int
    ac_connector: str
    dc_connector: str
    charge_taper: tuple[TaperPoint, ...]
    origins: tuple[Origin, ...]

    def origin_of(self, field: str) -> Origin:
        """Where the value of `field` comes from. Raises `UnknownInput`."""
        for origin in self.origins:
            if origin.field == field:
                return origin
        raise UnknownInput(f"{self.model_id} has no origin for {field!r}")

    def taper_permille(self, soc_permille: int) -> int:
        """Share of `dc_charge_w` that the battery takes at this SoC: linear between points, rounded down.

        Raises `OutsideRange` for a SoC outside 0..1000.
        """
        if not 0 <= soc_permille <= FULL_PERMILLE:
            raise OutsideRange(f"SoC of {soc_permille} permille is outside 0..{FULL_PERMILLE}")
        index = next(i for i, point in enumerate(self.charge_taper) if point.soc_permille >= soc_permille)
        upper = self.charge_taper[index]
        lower = self.charge_taper[max(index - 1, 0)]
        if upper.soc_permille == soc_permille:
            return upper.power_permille
        rise = (upper.power_permille - lower.power_permille) * (soc_permille - lower.soc_permille)
        return lower.power_permille + rise // (upper.soc_permille - lower.soc_permille)

    def dc_charge_limit_w(self, soc_permille: int) -> int:
        """Highest DC charging power at this SoC, rounded down. Raises `OutsideRange`."""
        return self.dc_charge_w * self.taper_permille(soc_permille) // FULL_PERMILLE


@dataclass(frozen=True, slots=True)
class LoadProfile:
    """One day of a load as mean power per quarter of an hour, from local midnight; the day repeats."""

    profile_id: str
    name: str
    quarters_w: tuple[int, ...]

    def power_w(self, at_ms_of_day: int) -> int:
        """Mean power of the quarter that holds this time. Raises `OutsideRange` outside 0..86,399,999."""
        if not 0 <= at_ms_of_day < DAY_MS:
            raise OutsideRange(f"{at_ms_of_day} ms is not a time of one day")
        return self.quarters_w[at_ms_of_day // QUARTER_MS]

    @property
    def day_energy_wh(self) -> int:
        """Energy of the whole day, rounded down."""
        return sum(self.quarters_w) * QUARTER_MS // 3_600_000

    @property
    def peak_w(self) -> int:
        return max(self.quarters_w)


def ev_models() -> tuple[EvModel, ...]:
    """Every shipped vehicle model, in the file's order."""
    return parse_ev_models(_read("ev_models.json"))


def ev_model(model_id: str) -> EvModel:
    """The vehicle model with this id. Raises `UnknownInput`, which names those that exist."""
    models = {model.model_id: model for model in ev_models()}
    return _pick(models, model_id, "vehicle model")


def household(season: str) -> LoadProfile:
    """A household's workday (4,000 kWh a year, BDEW H25) in `winter`, `transition` or `summer`. Raises `UnknownInput`.

    It is the mean of many households: a single home has higher and shorter peaks.
    """
    profiles = {profile.profile_id: profile for profile in parse_household(_read("household_h25.json"))}
    return _pick(profiles, season, "household profile")


def cabin() -> LoadProfile:
    """An assumed cabin or camp that one V2L outlet can carry."""
    return parse_cabin(_read("cabin_load.json"))


def parse_ev_models(text: str) -> tuple[EvModel, ...]:
    """Checks and reads a file of vehicle models. Raises `RealInputError`."""
    document = read_document(text, "v2xnode/ev-models/1", {"sources", "models"})
    catalogue = mapping_of(document["sources"], "sources")
    for key, source in catalogue.items():
        entry = exact_fields(source, {"title", "url"}, f"source {key}")
        if key == ASSUMED or not text_of(entry["url"], f"url of {key}").startswith("https://"):
            raise UnsourcedValue(f"source {key} needs an https address and a name other than {ASSUMED!r}")
        text_of(entry["title"], f"title of {key}")
    models = tuple(_model(item, frozenset(catalogue)) for item in list_of(document["models"], "models"))
    refuse_twins([model.model_id for model in models], "vehicle model")
    return models


def parse_household(text: str) -> tuple[LoadProfile, ...]:
    """Checks and reads a file of household days against its annual energy. Raises `RealInputError`."""
    document = read_document(text, "v2xnode/household/1", {"annual_energy_wh", "profiles"})
    annual_wh = integer_of(document["annual_energy_wh"], "annual_energy_wh", 1, 365 * MAX_ENERGY_WH)
    profiles = tuple(_household_day(item, annual_wh) for item in list_of(document["profiles"], "profiles"))
    refuse_twins([profile.profile_id for profile in profiles], "household profile")
    return profiles


def parse_cabin(text: str) -> LoadProfile:
    """Checks a list of appliances and adds it up to one day. Raises `RealInputError`."""
    document = read_document(text, "v2xnode/cabin/1", {"origin", "id", "name", "appliances"})
    if not text_of(document["origin"], "origin").startswith(ASSUMED):
        raise UnsourcedValue("a cabin's appliances are assumed, and the file must say so")
    quarters_w = [0] * QUARTERS_A_DAY
    for item in list_of(document["appliances"], "appliances"):
        appliance = exact_fields(item, {"name", "power_w", "from_to_quarters"}, "appliance")
        name = text_of(appliance["name"], "appliance name")
        power_w = integer_of(appliance["power_w"], name, 1, MAX_POWER_W)
        for start, stop in _spans(appliance["from_to_quarters"], name):
            for quarter in range(start, stop):
                quarters_w[quarter] += power_w
    return LoadProfile(text_of(document["id"], "id"), text_of(document["name"], "name"), tuple(quarters_w))


def _model(item: Any, catalogue: frozenset[str]) -> EvModel:
    entry = exact_fields(item, {"id", "name", "values", "source"}, "vehicle model")
    model_id = text_of(entry["id"], "model id")
    names = {field.name for field in fields(EvModel)} - {"model_id", "name", "origins"}
    values = exact_fields(entry["values"], names, model_id)
    source = mapping_of(entry["source"], f"source of {model_id}")
    if source.keys() != names:
        raise UnsourcedValue(f"{model_id}: origins missing or without a value: {sorted(source.keys() ^ names)}")
    origins = tuple(_origin(field, source[field], catalogue, model_id) for field in sorted(names))
    numbers = {
        field: integer_of(values[field], f"{model_id} {field}", *_bounds(field))
        for field in names - {"ac_connector", "dc_connector", "charge_taper"}
    }
    model = EvModel(
        model_id=model_id,
        name=text_of(entry["name"], "model name"),
        ac_connector=member_of(values["ac_connector"], AC_CONNECTORS, model_id),
        dc_connector=member_of(values["dc_connector"], DC_CONNECTORS, model_id),
        charge_taper=_taper(values["charge_taper"], model_id),
        origins=origins,
        **numbers,
    )
    _check_model(model)
    return model


def _bounds(field: str) -> tuple[int, int]:
    if field.endswith("_permille"):
        return (0 if "floor" in field else 1), FULL_PERMILLE
    if field.endswith("_wh"):
        return 1, MAX_ENERGY_WH
    if field.endswith("_mv"):
        return 1, MAX_VOLTAGE_MV
    if field == "ac_phases":
        return 1, 3
    return (0 if field in {"discharge_w", "outlet_w"} else 1), MAX_POWER_W


def _check_model(model: EvModel) -> None:
    if model.usable_energy_wh > model.nominal_energy_wh:
        raise ImplausibleInput(f"{model.model_id}: usable energy above nominal")
    if not model.pack_min_voltage_mv < model.pack_voltage_mv < model.pack_max_voltage_mv:
        raise ImplausibleInput(f"{model.model_id}: nominal pack voltage not between its limits")
    if model.ac_charge_w > model.dc_charge_w or model.discharge_w > model.dc_charge_w:
        raise ImplausibleInput(f"{model.model_id}: AC charging or discharging above DC charging")


def _origin(field: str, value: Any, catalogue: frozenset[str], model_id: str) -> Origin:
    source, _, note = text_of(value, f"source of {model_id} {field}").partition(":")
    if source != ASSUMED and source not in catalogue:
        raise UnsourcedValue(f"{model_id} {field}: source {source!r} is not in the catalogue")
    if source == ASSUMED and not note.strip():
        raise UnsourcedValue(f"{model_id} {field}: an assumption must give its reason")
    return Origin(field, source, note.strip())


def _taper(value: Any, model_id: str) -> tuple[TaperPoint, ...]:
    points = []
    for item in list_of(value, f"taper of {model_id}"):
        soc, power = pair_of(item, f"taper of {model_id}", FULL_PERMILLE)
        points.append(TaperPoint(soc, power))
    socs = [point.soc_permille for point in points]
    if socs != sorted(set(socs)) or socs[0] != 0 or socs[-1] != FULL_PERMILLE:
        raise ImplausibleInput(f"{model_id}: a taper rises in SoC from 0 to {FULL_PERMILLE}")
    if max(point.power_permille for point in points) != FULL_PERMILLE:
        raise ImplausibleInput(f"{model_id}: a taper reaches the full power somewhere")
    return tuple(points)


def _household_day(item: Any, annual_wh: int) -> LoadProfile:
    entry = exact_fields(
        item, {"id", "name", "month_column", "day_type", "date", "day_of_year", "power_w"}, "household profile"
    )
    profile_id = text_of(entry["id"], "profile id")
    powers = list_of(entry["power_w"], f"power_w of {profile_id}")
    if len(powers) != QUARTERS_A_DAY:
        raise MalformedInput(f"{profile_id}: {len(powers)} quarters of an hour, a day has {QUARTERS_A_DAY}")
    quarters_w = tuple(integer_of(power, f"power_w of {profile_id}", 0, MAX_POWER_W) for power in powers)
    profile = LoadProfile(profile_id, text_of(entry["name"], "profile name"), quarters_w)
    share = profile.day_energy_wh * 1000 // annual_wh
    if not MIN_DAY_SHARE_PERMILLE <= share < MAX_DAY_SHARE_PERMILLE:
        raise ImplausibleInput(f"{profile_id}: {profile.day_energy_wh} Wh a day do not fit {annual_wh} Wh a year")
    return profile


def _spans(value: Any, name: str) -> list[tuple[int, int]]:
    spans = [pair_of(item, f"times of {name}", QUARTERS_A_DAY) for item in list_of(value, f"times of {name}")]
    if any(start >= stop for start, stop in spans):
        raise ImplausibleInput(f"times of {name}: an end at or before its start")
    return spans


def _read(file_name: str) -> str:
    return (files("v2xnode.devices") / "data" / file_name).read_text(encoding="utf-8")


def _pick(items: Mapping[str, Item], key: str, what: str) -> Item:
    if key not in items:
        raise UnknownInput(f"no {what} {key!r}; there are {', '.join(items)}")
    return items[key]
