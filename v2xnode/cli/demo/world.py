"""The demonstration's world: two real vehicles, a house and a cabin on a winter evening, and a node for each.

Energies are small, because a power permit must live a quarter of a real second, so that world time runs at most
twelve times as fast as real time. Nothing else is scaled.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from market.terms import Profile
from market.units import Role
from v2xnode.clock import Clock
from v2xnode.devices.plant.battery import BatterySpec
from v2xnode.devices.plant.cable import CableSpec
from v2xnode.devices.plant.load import LoadSpec
from v2xnode.devices.plant.meter import MeterSpec
from v2xnode.devices.plant.terminal import TerminalSpec
from v2xnode.devices.plant.world import WorldSpec, battery_of, load_of
from v2xnode.devices.real_input import cabin, ev_model, household

MIDNIGHT_MS = int(datetime(2026, 1, 14, tzinfo=UTC).timestamp() * 1000)
EVENING_MS = MIDNIGHT_MS + (18 * 60 + 32) * 60_000
"""18:32 on a winter workday: the household's peak, and supper in the cabin."""

HOUSEHOLDS = 6
"""The house is one with six flats, each with the standard household's load."""

RESERVE_WH = 60_060
"""78 % of the ID.4's usable energy, which its owner keeps for a trip tomorrow."""
SPARE_WH = 184
"""What the ID.4 has above that when the story begins: a help for the other car, and a little for the house."""

CAR_A, CAR_B, HOUSE, CABIN = "car_a", "car_b", "house", "cabin"


@dataclass(frozen=True, slots=True)
class Cast:
    """One node of the demonstration."""

    place: str
    name: str
    paths: tuple[tuple[str, str, str, bool], ...]
    """(profile, role, terminal, whether a battery is behind it)."""
    electrical: Mapping[str, Any]
    owner: Mapping[str, Any]


def demo_world(at_ms: int = EVENING_MS, *, plugged: bool = False) -> WorldSpec:
    """Batteries of real models, standard and assumed loads, and meters that disagree; the cables hang loose, or join
    the two cars and the cabin (`plugged`)."""
    id4, ioniq = ev_model("vw-id4"), ev_model("hyundai-ioniq-5")
    home = household("winter")
    return WorldSpec(
        at_ms=at_ms,
        batteries={
            CAR_A: _strong(battery_of(id4, 0), RESERVE_WH + SPARE_WH),
            CAR_B: battery_of(ioniq, 290),
        },
        loads={
            HOUSE: LoadSpec(
                power_w=tuple(power_w * HOUSEHOLDS for power_w in home.quarters_w),
                start_ms=MIDNIGHT_MS,
                profile=home.profile_id,
            ),
            CABIN: load_of(cabin(), MIDNIGHT_MS),
        },
        terminals={
            "car_a.v2v": _terminal(Profile.DC_CONVERTER, Role.PROVIDER, CAR_A, 50_000, 150_000, 12_000),
            "car_b.v2v": _terminal(Profile.DC_CONVERTER, Role.CLIENT, CAR_B, 50_000, 150_000, 3_000),
            "car_a.v2h": _terminal(Profile.DC_BPT, Role.PROVIDER, CAR_A, 10_000, 32_000, 3_000),
            "house.v2h": _terminal(Profile.DC_BPT, Role.CLIENT, HOUSE, 11_000, 32_000, 30_000, load=True),
            "car_b.v2l": _terminal(Profile.AC_OUTLET, Role.PROVIDER, CAR_B, 3_600, 16_000, 40_000),
            "cabin.v2l": _terminal(Profile.AC_OUTLET, Role.CLIENT, CABIN, 3_600, 16_000, 0, load=True),
        },
        cables={
            "box": _cable("v2v", CAR_A, CAR_B, plugged, CableSpec(resistance_mohm=8, standby_w=60, loss_ppm=25_000)),
            "wallbox": CableSpec(resistance_mohm=30, standby_w=15, loss_ppm=20_000),
            "extension": _cable("v2l", CAR_B, CABIN, plugged, CableSpec(resistance_mohm=900, standby_w=2)),
        },
        meters={
            "car_a.v2v": MeterSpec(terminal="car_a.v2v", gain_ppm=3_000, clock_offset_ms=40, export_wh=1_204_551),
            "car_b.v2v": MeterSpec(terminal="car_b.v2v", gain_ppm=-4_000, clock_offset_ms=-25, import_wh=883_012),
            "car_a.v2h": MeterSpec(terminal="car_a.v2h", gain_ppm=4_000, clock_offset_ms=40, export_wh=1_204_551),
            "house.v2h": MeterSpec(terminal="house.v2h", gain_ppm=-3_000, clock_drift_ppm=40, import_wh=5_310_209),
            "car_b.v2l": MeterSpec(terminal="car_b.v2l", gain_ppm=6_000, clock_offset_ms=-25, export_wh=20_118),
            "cabin.v2l": MeterSpec(terminal="cabin.v2l", gain_ppm=-8_000, clock_drift_ppm=-60, import_wh=77_440),
        },
    )


def _cable(service: str, provider: str, client: str, plugged: bool, loose: CableSpec) -> CableSpec:
    return replace(loose, provider=f"{provider}.{service}", client=f"{client}.{service}") if plugged else loose


def _strong(battery: BatterySpec, energy_wh: int) -> BatterySpec:
    """The ID.4's battery behind a DC/DC box: the box takes what the cells give, not what the car's charger returns."""
    return replace(battery, energy_wh=energy_wh, max_discharge_w=battery.max_charge_w)


def _terminal(
    profile: Profile, role: Role, owner: str, power_w: int, current_ma: int, loss_ppm: int, *, load: bool = False
) -> TerminalSpec:
    return TerminalSpec(
        profile=profile,
        role=role,
        battery=None if load else owner,
        load=owner if load else None,
        max_power_w=power_w,
        max_current_ma=current_ma,
        standby_w=10,
        loss_ppm=loss_ppm,
    )


_DC_CAR = {"connectors": ["CCS2", "SCHUKO"], "voltage_min_mv": 200_000, "voltage_max_mv": 900_000}

CAST = (
    Cast(
        CAR_A,
        "VW ID.4",
        (("DC_CONVERTER", "provider", "car_a.v2v", True), ("DC_BPT", "provider", "car_a.v2h", True)),
        {**_DC_CAR, "profiles": ["DC_CONVERTER", "DC_BPT"], "continuous_va": 50_000},
        {
            "provides": ["V2V", "V2H"],
            "reserve_permille": 780,
            "price_micro_per_kwh": 312_500,
            "session_fee_micro": 20_000,
            "exposure_wh": {"V2V": 220, "V2H": 30},
        },
    ),
    Cast(
        CAR_B,
        "Hyundai Ioniq 5",
        (("DC_CONVERTER", "client", "car_b.v2v", True), ("AC_OUTLET", "provider", "car_b.v2l", True)),
        {
            **_DC_CAR,
            "profiles": ["DC_CONVERTER", "AC_OUTLET"],
            "continuous_va": 50_000,
            "phases": 1,
            "frequency_millihz": 50_000,
        },
        {
            "provides": ["V2L"],
            "reserve_permille": 200,
            "price_micro_per_kwh": 405_000,
            "tax_permyriad": 1_900,
            "exposure_wh": {"V2L": 10},
        },
    ),
    Cast(
        HOUSE,
        "House with six flats",
        (("DC_BPT", "client", "house.v2h", False),),
        {
            "connectors": ["CCS2"],
            "profiles": ["DC_BPT"],
            "voltage_min_mv": 150_000,
            "voltage_max_mv": 920_000,
            "continuous_va": 11_000,
        },
        {},
    ),
    Cast(
        CABIN,
        "Cabin",
        (("AC_OUTLET", "client", "cabin.v2l", False),),
        {
            "connectors": ["SCHUKO"],
            "profiles": ["AC_OUTLET"],
            "voltage_min_mv": 207_000,
            "voltage_max_mv": 253_000,
            "continuous_va": 3_600,
            "phases": 1,
            "frequency_millihz": 50_000,
        },
        {},
    ),
)


ON_THIS_MACHINE: Mapping[str, Any] = {"coap": {"loopback": True}}
"""CoAP, heard by every node of this machine."""


def configuration(
    cast: Cast, plant_socket: Path, clock: Clock | None = None, bearers: Mapping[str, Any] = ON_THIS_MACHINE
) -> dict[str, Any]:
    """A node's configuration, as tables of its file; without a clock it lives in the machine's own time. bearers: the
    tables of its bearers."""
    shared = () if clock is None else ("speed", "world_origin_ms", "real_origin_ms")
    return {
        "node": {"name": cast.name, "visibility": "open"},
        "clock": {name: getattr(clock, name) for name in shared},
        **bearers,
        "devices": {
            "driver": "simulated",
            "paths": [
                {
                    "profile": profile,
                    "role": role,
                    "options": {
                        "socket": str(plant_socket),
                        "charger": terminal,
                        "meter": terminal,
                        **({"battery": cast.place} if battery else {}),
                    },
                }
                for profile, role, terminal, battery in cast.paths
            ],
        },
        "electrical": dict(cast.electrical),
        "owner": {"strangers": "yes", **cast.owner},
    }
