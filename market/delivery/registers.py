"""A meter's register at a moment between two readings."""

from collections import deque
from dataclasses import replace

from market.delivery.steps import Reading

MAX_READINGS = 256
"""Two intervals of 60 s at two readings a second: an Interval is answered long before its end is forgotten."""


def interpolate(before: Reading, after: Reading, at_ms: int) -> int:
    """The register at `at_ms`, in whole Wh rounded down; clamped to the two readings."""
    if at_ms <= before.at_ms or after.at_ms <= before.at_ms:
        return before.register_wh
    if at_ms >= after.at_ms:
        return after.register_wh
    risen_wh = after.register_wh - before.register_wh
    return before.register_wh + risen_wh * (at_ms - before.at_ms) // (after.at_ms - before.at_ms)


class Registers:
    """The newest readings of one meter, at most `MAX_READINGS`, in the order of time."""

    def __init__(self) -> None:
        self._readings: deque[Reading] = deque(maxlen=MAX_READINGS)

    @property
    def newest(self) -> Reading | None:
        return self._readings[-1] if self._readings else None

    @property
    def oldest(self) -> Reading | None:
        return self._readings[0] if self._readings else None

    def add(self, reading: Reading) -> Reading:
        """Keep a reading. One that is not later than the newest (a clock was set back) counts as just after it."""
        if self._readings and reading.at_ms <= self._readings[-1].at_ms:
            reading = replace(reading, at_ms=self._readings[-1].at_ms + 1)
        self._readings.append(reading)
        return reading

    def at(self, at_ms: int) -> int | None:
        """The register at that time, clamped to what is held; None when nothing is."""
        later: Reading | None = None
        for reading in reversed(self._readings):
            if reading.at_ms <= at_ms:
                return interpolate(reading, later or reading, at_ms)
            later = reading
        return None if later is None else later.register_wh

    def covers(self, at_ms: int) -> bool:
        """True when a reading at or after that time is held."""
        return self.newest is not None and self.newest.at_ms >= at_ms
