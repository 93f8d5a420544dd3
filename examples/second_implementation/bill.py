"""Which energy counts, and what it costs (docs/protocol.md, Metering and money)."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

CLIENT = 1
TIERED = 2
TIME_OF_USE = 1
MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Counted:
    """What an Interval comes to: a Receipt, or a Dispute when the meters differ too much."""

    agreed_wh: int
    amounts_micro: list[int]
    disputed: bool


def expected_wh(offer: dict[str, Any], provider_wh: int, elapsed_ms: int) -> int:
    """What should arrive of `provider_wh`, the agreed loss taken off."""
    standby_w, loss_ppm = offer["loss"]
    loss = standby_w * elapsed_ms // 3_600_000 + (provider_wh * loss_ppm + 500_000) // 1_000_000
    return int(max(0, provider_wh - loss))


@dataclass(slots=True)
class Bill:
    """The sums of one delivery so far, from its opening registers on."""

    offer: dict[str, Any]
    opening_ms: int
    opening_provider_wh: int
    opening_client_wh: int
    agreed_wh: int = 0
    _began_ms: int = 0
    _by_step: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._began_ms = self.opening_ms
        self._by_step = [0] * len(self.offer["price_steps"])

    def count(self, end_at_ms: int, provider_register_wh: int, client_register_wh: int) -> Counted:
        """Take the next interval's end into the sums."""
        provider_wh = provider_register_wh - self.opening_provider_wh
        client_wh = client_register_wh - self.opening_client_wh
        expected = expected_wh(self.offer, provider_wh, end_at_ms - self.opening_ms)
        floor_wh, class_ppm = self.offer["tolerance"]
        disputed = abs(client_wh - expected) > max(floor_wh, class_ppm * provider_wh // 1_000_000)
        reference = client_wh if self.offer["reference"] == CLIENT else provider_wh
        total = max(min(provider_wh, client_wh) if disputed else reference, self.agreed_wh)
        self._by_step[self._step_at(self._began_ms)] += total - self.agreed_wh
        self.agreed_wh, self._began_ms = total, end_at_ms
        return Counted(total, self.amounts_micro(), disputed)

    def _step_at(self, at_ms: int) -> int:
        """The tariff's step in force; only a time-of-use price has more than one way to answer."""
        if self.offer["price_kind"] != TIME_OF_USE:
            return 0
        begun = [number for number, (edge, _) in enumerate(self.offer["price_steps"]) if edge * MINUTE_MS <= at_ms]
        return max(begun, default=0)

    def _energies(self) -> list[int]:
        if self.offer["price_kind"] != TIERED:
            return self._by_step
        edges = [edge for edge, _ in self.offer["price_steps"]] + [
            max(self.agreed_wh, self.offer["price_steps"][-1][0])
        ]
        return [max(0, min(self.agreed_wh, end) - edge) for edge, end in pairwise(edges)]

    def amounts_micro(self) -> list[int]:
        """One amount for each price step, each fee, and the tax if there is one."""
        prices = [price for _, price in self.offer["price_steps"]]
        lines = [(wh * price + 500) // 1_000 for wh, price in zip(self._energies(), prices, strict=True)]
        lines += [amount if self.agreed_wh > 0 else 0 for _, amount in self.offer["fees"]]
        tax = self.offer["tax_permyriad"]
        return [*lines, (sum(lines) * tax + 5_000) // 10_000] if tax else lines
