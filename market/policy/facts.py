"""What a decision looks at besides the owner's policy: battery, commitments, and the case at hand."""

from dataclasses import dataclass
from typing import Final

from market.policy.owner import OwnerPolicy
from market.terms import Electrical, LossRule, Request
from market.terms.agreement import KEY, require, within
from market.units import MAX_AMOUNT_MICRO, MAX_AT_MS, MAX_ENERGY_WH, MAX_POWER_W

INVERTER_LOSS: Final = LossRule(standby_w=20, loss_ppm=50_000)
"""Between battery and plug where nobody knows better (assumed): what is drawn while the path is live, and about 95 %
efficiency of an on-board inverter. Too much keeps a little energy back; too little would break the reserve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryFacts:
    """The battery now. All energies are battery-side.

    usable_wh: above the maker's floor, as the battery manager says, not nominal; maker_floor_wh: from empty;
    max_discharge_w: just now, with derating; loss: between battery and the provider's plug, `loss_ppm` of what passes
    the plug.
    """

    capacity_wh: int
    usable_wh: int
    maker_floor_wh: int = 0
    max_discharge_w: int
    loss: LossRule = INVERTER_LOSS

    def __post_init__(self) -> None:
        within(self, "capacity_wh", 1, MAX_ENERGY_WH)
        within(self, "usable_wh", 0, MAX_ENERGY_WH)
        within(self, "maker_floor_wh", 0, MAX_ENERGY_WH)
        within(self, "max_discharge_w", 0, MAX_POWER_W)
        within(self.loss, "standby_w", 0, MAX_POWER_W)
        within(self.loss, "loss_ppm", 0, 500_000)

    @property
    def stored_wh(self) -> int:
        """What is in the battery, from empty."""
        return self.maker_floor_wh + self.usable_wh


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time on one connector: from `start_at_ms` until before `end_at_ms` (UTC)."""

    start_at_ms: int
    end_at_ms: int

    def __post_init__(self) -> None:
        within(self, "start_at_ms", 0, 2 * MAX_AT_MS)
        within(self, "end_at_ms", 0, 2 * MAX_AT_MS)
        require(self, self.start_at_ms < self.end_at_ms, "end_at_ms", "must be after start_at_ms")

    @property
    def length_ms(self) -> int:
        return self.end_at_ms - self.start_at_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitments:
    """What is promised and owed already, without the session that is being decided.

    locked_wh: battery-side, what confirmed sessions may still draw; promised_wh: the same at the delivery point;
    windows: taken on the connector in question; delivered_today_wh: at the delivery point, the local day, or the last
    24 hours where the clock can't be trusted. The debts are unpaid receipted amounts, and those that confirmed
    sessions may still add: of this peer, and of all strangers (this peer's included, if it is one). vouched_micro: of
    this peer's debt, others have promised to pay as much (what is left of its vouchers). peer_forked: a proof is held
    that this peer signed two histories.
    """

    locked_wh: int = 0
    promised_wh: int = 0
    windows: tuple[Window, ...] = ()
    delivered_today_wh: int = 0
    peer_debt_micro: int = 0
    strangers_debt_micro: int = 0
    vouched_micro: int = 0
    peer_known: bool = False
    owner_said_yes: bool = False
    peer_forked: bool = False

    def __post_init__(self) -> None:
        for name in ("locked_wh", "promised_wh", "delivered_today_wh"):
            within(self, name, 0, 100 * MAX_ENERGY_WH)
        within(self, "peer_debt_micro", -MAX_AMOUNT_MICRO, MAX_AMOUNT_MICRO)
        within(self, "strangers_debt_micro", -MAX_AMOUNT_MICRO, MAX_AMOUNT_MICRO)
        within(self, "vouched_micro", 0, MAX_AMOUNT_MICRO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request and all that its answer depends on.

    provider, client: both sides' electrical records; battery: None for a provider without one; client_currency: of
    its Hello; now_ms: UTC, `clock_trusted` says whether to believe it. number: of the offer, that of the counter it
    answers; status_period_ms: what the link carries (protocol: 1 s on fast links, up to 60 s on slow ones).
    """

    request: Request
    client_key: bytes
    provider: Electrical
    client: Electrical
    policy: OwnerPolicy
    battery: BatteryFacts | None
    commitments: Commitments = Commitments()
    now_ms: int
    clock_trusted: bool = True
    client_currency: str = "EUR"
    number: int = 0
    status_period_ms: int = 1_000

    def __post_init__(self) -> None:
        right = type(self.client_key) is bytes and len(self.client_key) == KEY.size
        require(self, right, "client_key", f"must be {KEY.size} bytes")
        within(self, "now_ms", 0, MAX_AT_MS)

    @property
    def is_stranger(self) -> bool:
        """Whether the client is neither known from before nor on the allow list."""
        return not self.commitments.peer_known and self.client_key not in self.policy.allow
