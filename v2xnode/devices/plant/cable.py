"""A cable: who is plugged to whom, what it loses, and the voltage and pattern that are on it."""

from dataclasses import dataclass

from v2xnode.devices.interface import PATTERN_BITS
from v2xnode.devices.plant.quantity import Ramp, resistive_loss_mw, share_mw

SLOT_MS = 100
"""How long each of a pattern's levels stands on the cable."""
SLOTS = PATTERN_BITS // 4
LEVEL_BASE_MV = 12_000
LEVEL_STEP_MV = 2_000
"""Levels from 12 V to 42 V: well below the 60 V of t1b."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CableSpec:
    """provider, client: the terminals at its ends, None where it hangs loose. A converter box between two vehicles is
    part of the cable: standby_w and loss_ppm are its own."""

    provider: str | None = None
    client: str | None = None
    resistance_mohm: int = 20
    standby_w: int = 0
    loss_ppm: int = 0
    insulation_ohm: int = 2_000_000
    precharge_ms: int = 400
    discharge_ms: int = 800

    def __post_init__(self) -> None:
        if min(self.resistance_mohm, self.standby_w, self.insulation_ohm) < 0:
            raise ValueError("resistance, standby and insulation are never negative")
        if not 0 <= self.loss_ppm < 500_000 or min(self.precharge_ms, self.discharge_ms) < 1:
            raise ValueError("loss_ppm must be below a half, pre-charge and discharge take at least 1 ms")


class Cable:
    """Mutable state of one cable."""

    def __init__(self, name: str, spec: CableSpec) -> None:
        self.name = name
        self.spec = spec
        self.provider = spec.provider
        self.client = spec.client
        self.ramp = Ramp(0, 0, 0, 0)
        self.pattern: tuple[int, int] | None = None
        self.precharging = False
        self.account = Account()

    def loss_mw(self, client_mw: int, voltage_mv: int) -> int:
        """What is lost between the two terminals when this arrives at the client's."""
        resistive = resistive_loss_mw(client_mw, voltage_mv, self.spec.resistance_mohm)
        return self.spec.standby_w * 1000 + share_mw(client_mw, self.spec.loss_ppm) + resistive

    def pattern_level_mv(self, now_ms: int) -> int | None:
        """The voltage of the pattern's present slot, None when none is on the cable."""
        if self.pattern is None:
            return None
        value, start_ms = self.pattern
        slot = (now_ms - start_ms) // SLOT_MS
        if slot >= SLOTS:
            return None
        return LEVEL_BASE_MV + LEVEL_STEP_MV * (value >> 4 * (SLOTS - 1 - slot) & 0xF)

    def cut_pattern(self, now_ms: int) -> None:
        """The master does something else: a pattern that was not yet whole is never read; a whole one has been."""
        if self.pattern is not None and now_ms < self.pattern[1] + SLOTS * SLOT_MS:
            self.pattern = None

    def pattern_since(self, since_ms: int, now_ms: int) -> int | None:
        """The last whole pattern, when it began at or after `since_ms`."""
        if self.pattern is None:
            return None
        value, start_ms = self.pattern
        return value if start_ms >= since_ms and now_ms >= start_ms + SLOTS * SLOT_MS else None


class Account:
    """Exact energies of one cable since the start, in µJ.

    taken (from the provider's battery) = lost_at_provider + sent; sent = lost_on_cable + received;
    received = lost_at_client + stored (in a battery) + used (by a load).
    """

    __slots__ = ("lost_at_client", "lost_at_provider", "lost_on_cable", "received", "sent", "stored", "taken", "used")

    def __init__(self) -> None:
        self.taken = self.lost_at_provider = self.sent = self.lost_on_cable = 0
        self.received = self.lost_at_client = self.stored = self.used = 0

    def as_plain(self) -> dict[str, int]:
        return {f"{name}_uj": getattr(self, name) for name in self.__slots__}
