"""A battery: exact energy, limits that follow state of charge and temperature, and what its manager says of itself."""

from dataclasses import dataclass

from v2xnode.devices.interface import BatteryState
from v2xnode.devices.plant.quantity import UJ_PER_WH, Thermal
from v2xnode.devices.real_input import TaperPoint

HEAT_LAG_MS = 1_800_000
"""Half an hour: a pack of some hundred kilograms follows its losses slowly (assumed)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatterySpec:
    """A battery as the world file describes it. Energies count from truly empty; floor_wh is the maker's floor.

    taper: most charging power by state of charge, straight lines between, permille of max_charge_w.
    Derating: full power to derate_from, none at derate_to. Voltages are the pack's, empty and full.
    """

    capacity_wh: int
    energy_wh: int
    floor_wh: int = 0
    max_charge_w: int
    max_discharge_w: int
    empty_voltage_mv: int = 320_000
    full_voltage_mv: int = 400_000
    taper: tuple[TaperPoint, ...] = (TaperPoint(0, 1000), TaperPoint(800, 1000), TaperPoint(1000, 100))
    ambient_millicelsius: int = 20_000
    rise_millicelsius: int = 15_000
    derate_from_millicelsius: int = 45_000
    derate_to_millicelsius: int = 60_000
    model: str = ""

    def __post_init__(self) -> None:
        if self.capacity_wh < 1 or not all(0 <= wh <= self.capacity_wh for wh in (self.floor_wh, self.energy_wh)):
            raise ValueError("floor_wh and energy_wh must be 0 to capacity_wh, which must be at least 1")
        if min(self.max_charge_w, self.max_discharge_w) < 1:
            raise ValueError("charging and discharging power must be at least 1 W")
        if not 0 < self.empty_voltage_mv <= self.full_voltage_mv:
            raise ValueError("0 < empty_voltage_mv <= full_voltage_mv must hold")
        if self.derate_from_millicelsius >= self.derate_to_millicelsius:
            raise ValueError("derating must start below the temperature at which nothing is left")
        if not self.taper or list(self.taper) != sorted(self.taper, key=lambda point: point.soc_permille):
            raise ValueError("taper points must rise in soc_permille")


class PlantBattery:
    """The cell itself. Only `move` changes its energy."""

    def __init__(self, spec: BatterySpec) -> None:
        self.spec = spec
        self.energy_uj = spec.energy_wh * UJ_PER_WH
        self.miscount_wh = 0
        self.heat = Thermal(spec.ambient_millicelsius, spec.rise_millicelsius, HEAT_LAG_MS)

    @property
    def soc_permille(self) -> int:
        return self.energy_uj * 1000 // (self.spec.capacity_wh * UJ_PER_WH)

    @property
    def voltage_mv(self) -> int:
        span = self.spec.full_voltage_mv - self.spec.empty_voltage_mv
        return self.spec.empty_voltage_mv + span * self.energy_uj // (self.spec.capacity_wh * UJ_PER_WH)

    def move(self, energy_uj: int) -> None:
        """Put energy in (positive) or take it out."""
        self.energy_uj += energy_uj

    def charge_limit_mw(self, grid_ms: int) -> int:
        """Most that may go in now so that it still fits after `grid_ms`."""
        tapered = self.spec.max_charge_w * _taper_permille(self.spec.taper, self.soc_permille)
        room_uj = self.spec.capacity_wh * UJ_PER_WH - self.energy_uj
        return max(0, min(self._derated(tapered), room_uj // grid_ms))

    def discharge_limit_mw(self, grid_ms: int) -> int:
        """Most that may come out now so that the floor still holds after `grid_ms`."""
        above_uj = self.energy_uj - self.spec.floor_wh * UJ_PER_WH
        return max(0, min(self._derated(self.spec.max_discharge_w * 1000), above_uj // grid_ms))

    def limit_reason(self, charging: bool, grid_ms: int) -> str:
        """Why less than the full power is to be had, in the words of `PathSense`; empty when it is not."""
        limit_mw = self.charge_limit_mw(grid_ms) if charging else self.discharge_limit_mw(grid_ms)
        full_mw = (self.spec.max_charge_w if charging else self.spec.max_discharge_w) * 1000
        if limit_mw >= full_mw:
            return ""
        if self.heat.millicelsius > self.spec.derate_from_millicelsius:
            return "thermal"
        if not charging:
            return "empty"
        return "full" if limit_mw == 0 else "taper"

    def state(self, at_ms: int) -> BatteryState:
        """What the manager says; `miscount_wh` is by how much it is wrong."""
        told_wh = self.energy_uj // UJ_PER_WH + self.miscount_wh
        told_wh = max(0, min(self.spec.capacity_wh, told_wh))
        return BatteryState(
            soc_permille=told_wh * 1000 // self.spec.capacity_wh,
            soc_at_ms=at_ms,
            source="bms",
            capacity_wh=self.spec.capacity_wh,
            usable_energy_wh=max(0, told_wh - self.spec.floor_wh),
            room_wh=self.spec.capacity_wh - told_wh,
            max_charge_w=self.charge_limit_mw(1000) // 1000,
            max_discharge_w=self.discharge_limit_mw(1000) // 1000,
            voltage_mv=self.voltage_mv,
            millicelsius=self.heat.millicelsius,
        )

    def _derated(self, power_mw: int) -> int:
        hot, spec = self.heat.millicelsius, self.spec
        if hot <= spec.derate_from_millicelsius:
            return power_mw
        left = max(0, spec.derate_to_millicelsius - hot)
        return power_mw * left // (spec.derate_to_millicelsius - spec.derate_from_millicelsius)


def _taper_permille(taper: tuple[TaperPoint, ...], soc_permille: int) -> int:
    below = taper[0]
    for point in taper:
        if point.soc_permille > soc_permille:
            run, rise = point.soc_permille - below.soc_permille, point.power_permille - below.power_permille
            return below.power_permille + (rise * (soc_permille - below.soc_permille) // run if run else 0)
        below = point
    return below.power_permille
