"""The plant's units, in which sums are exact: power in mW, energy in µJ (1 mW for 1 ms is 1 µJ)."""

from dataclasses import dataclass

UJ_PER_WH = 3_600_000_000
PPM = 1_000_000


def watts_shown(power_mw: int) -> int:
    """Whole watts, rounded away from zero: only a true 0 is shown as 0."""
    return -(-power_mw // 1000) if power_mw > 0 else power_mw // 1000


def resistive_loss_mw(power_mw: int, voltage_mv: int, resistance_mohm: int) -> int:
    """I squared times R."""
    current_ma = power_mw * 1000 // voltage_mv if voltage_mv else 0
    return current_ma * current_ma * resistance_mohm // PPM


def share_mw(power_mw: int, ppm: int) -> int:
    """A part of a power in millionths, rounded up: a loss is never less than it should be."""
    return -(-power_mw * ppm // PPM)


@dataclass(frozen=True, slots=True)
class Ramp:
    """A voltage that goes in a straight line from one value to another between two world times."""

    from_mv: int
    to_mv: int
    start_ms: int
    end_ms: int

    def at(self, now_ms: int) -> int:
        """The value at a time; the ends hold outside."""
        if now_ms >= self.end_ms:
            return self.to_mv
        if now_ms <= self.start_ms:
            return self.from_mv
        done = (self.to_mv - self.from_mv) * (now_ms - self.start_ms)
        return self.from_mv + done // (self.end_ms - self.start_ms)


class Thermal:
    """A temperature that creeps to its target: first order, one time constant."""

    def __init__(self, ambient_millicelsius: int, rise_millicelsius: int, lag_ms: int) -> None:
        """rise_millicelsius: over ambient, at rated load for ever."""
        self._ambient = ambient_millicelsius
        self._rise = rise_millicelsius
        self._lag_ms = lag_ms
        self.millicelsius = ambient_millicelsius

    def step(self, load: int, rated: int, elapsed_ms: int) -> None:
        """Heat goes with the square of the load (any unit, the same for both)."""
        target = self._ambient + self._rise * load * load // (rated * rated)
        self.millicelsius += (target - self.millicelsius) * min(elapsed_ms, self._lag_ms) // self._lag_ms
