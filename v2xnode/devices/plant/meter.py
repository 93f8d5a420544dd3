"""A meter with a class error and a clock of its own. It measures the plant at one terminal, never a set-point."""

from dataclasses import dataclass

from v2xnode.devices.interface import Reading
from v2xnode.devices.plant.quantity import PPM, UJ_PER_WH

MAX_ERROR_PPM = 100_000
"""Ten percent: worse than any meter that is sold; more is a slip of units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSpec:
    """gain_ppm: this meter's true error, inside class_ppm for an honest one. clock_*: error of its clock at the
    world's start and its drift. import_wh, export_wh: where the registers stand at the start."""

    terminal: str
    class_ppm: int = 10_000
    gain_ppm: int = 0
    clock_offset_ms: int = 0
    clock_drift_ppm: int = 0
    import_wh: int = 0
    export_wh: int = 0

    def __post_init__(self) -> None:
        if not -MAX_ERROR_PPM <= self.gain_ppm <= MAX_ERROR_PPM or abs(self.clock_drift_ppm) > MAX_ERROR_PPM:
            raise ValueError(f"gain_ppm and clock_drift_ppm must be within {MAX_ERROR_PPM}")
        if min(self.class_ppm, self.import_wh, self.export_wh) < 0:
            raise ValueError("registers and class_ppm are never negative")


class PlantMeter:
    """Counts in µJ and millionths, so that no reading loses a part of the energy between two readings."""

    def __init__(self, spec: MeterSpec, start_ms: int) -> None:
        self.spec = spec
        self._start_ms = start_ms
        self._in = 0
        self._out = 0
        self._power_mw = 0

    def flow(self, power_mw: int, elapsed_ms: int) -> None:
        """Count a constant power, positive outwards."""
        counted = abs(power_mw) * elapsed_ms * (PPM + self.spec.gain_ppm)
        if power_mw > 0:
            self._out += counted
        else:
            self._in += counted

    def see(self, power_mw: int) -> None:
        """The power from now on."""
        self._power_mw = power_mw

    def read(self, now_ms: int) -> Reading:
        """All registers at a world time, stamped by this meter's own clock."""
        drift_ms = (now_ms - self._start_ms) * self.spec.clock_drift_ppm // PPM
        return Reading(
            at_ms=now_ms + self.spec.clock_offset_ms + drift_ms,
            import_wh=self.spec.import_wh + self._in // (UJ_PER_WH * PPM),
            export_wh=self.spec.export_wh + self._out // (UJ_PER_WH * PPM),
            power_w=self._power_mw * (PPM + self.spec.gain_ppm) // (PPM * 1000),
            class_ppm=self.spec.class_ppm,
        )
