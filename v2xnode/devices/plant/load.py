"""A load that follows a profile of equal steps, over and over."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSpec:
    """power_w: demand in each step of step_ms, from world time start_ms on, then from the beginning again.
    curtails: circuits are shed to fit a limit (True), or the load takes what it wants and trips the outlet."""

    power_w: tuple[int, ...]
    step_ms: int = 900_000
    start_ms: int = 0
    curtails: bool = True
    profile: str = ""

    def __post_init__(self) -> None:
        if not self.power_w or min(self.power_w) < 0 or self.step_ms < 1:
            raise ValueError("a load needs at least one step, none below 0 W, of at least 1 ms")


def demand_mw(spec: LoadSpec, now_ms: int) -> int:
    """What the load wants at a world time."""
    return spec.power_w[(now_ms - spec.start_ms) // spec.step_ms % len(spec.power_w)] * 1000


def next_change_ms(spec: LoadSpec, now_ms: int) -> int:
    """When the next step begins, always after `now_ms`."""
    return now_ms + spec.step_ms - (now_ms - spec.start_ms) % spec.step_ms
