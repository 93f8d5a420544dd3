"""What the interlock knows at one moment; the tables' checks look at nothing else."""

from dataclasses import dataclass

from market.terms import PlugStep
from market.units import Role
from v2xnode.devices.interface import PathSense, Permit
from v2xnode.power.errors import PatternMissing
from v2xnode.power.events import Begin, PlugReport
from v2xnode.power.profiles import PROFILES, PathProfile, direction_of

FOLLOW_MS = 1_000
"""Declared delay T_d between a lower request and a lower power (t8-t9; IEC 61851-23 leaves it to the supply)."""


@dataclass(slots=True)
class Picture:
    """Changed by the machine alone.

    pattern: of this round; the follower's once it has read it. asked_w: the last set-point sent to the device.
    asked_before_w, lowered_at_ms: what may still flow until the device has followed.
    """

    setting: Begin
    round: int = 1
    pattern: int | None = None
    now_ms: int = 0
    look: PathSense | None = None
    looked_at_ms: int = 0
    peer: PlugReport | None = None
    allowed_w: int | None = None
    limit_w: int | None = None
    wanted_w: int | None = None
    asked_w: int = 0
    asked_before_w: int = 0
    lowered_at_ms: int = 0

    @property
    def sense(self) -> PathSense:
        """The newest look. The machine asks no check that needs one before there is one."""
        if self.look is None:
            raise LookupError("the path has not been sensed yet")
        return self.look

    @property
    def profile(self) -> PathProfile:
        return PROFILES[self.setting.profile]

    @property
    def is_master(self) -> bool:
        return self.setting.role is self.profile.master

    @property
    def is_client(self) -> bool:
        return self.setting.role is Role.CLIENT

    @property
    def needs_permit(self) -> bool:
        return self.setting.role in self.profile.needs_permit

    @property
    def ceiling_w(self) -> int:
        """Never more than this, whatever is wanted: both sides' limits, what is allowed, every Limit heard."""
        limits = [self.setting.own.max_power_w, self.setting.peer.max_power_w, self.allowed_w or 0]
        return min(limits if self.limit_w is None else [*limits, self.limit_w])

    @property
    def target_w(self) -> int:
        return self.ceiling_w if self.wanted_w is None else min(self.wanted_w, self.ceiling_w)

    @property
    def bound_w(self) -> int:
        """The most that may be measured now: a lower request is followed within `FOLLOW_MS`."""
        settled = self.now_ms - self.lowered_at_ms > FOLLOW_MS
        return self.asked_w if settled else max(self.asked_w, self.asked_before_w)

    @property
    def peer_step(self) -> PlugStep | None:
        """How far the peer is in this round."""
        return self.peer.step if self.peer is not None and self.peer.round == self.round else None

    @property
    def peer_pattern(self) -> int | None:
        return self.peer.pattern if self.peer is not None and self.peer.round == self.round else None

    @property
    def age_ms(self) -> int:
        """How long ago the device told something new."""
        return self.now_ms - self.looked_at_ms

    @property
    def third_ms(self) -> int:
        """The permit is renewed after a third of its life."""
        return self.setting.permit_ms // 3

    def take_look(self, sense: PathSense) -> bool:
        """Whether it is a fresh one: a device that tells its last look again and again is as silent as one that tells
        nothing."""
        last, self.look = self.look, sense
        if last is not None and sense.at_ms == last.at_ms:
            return False
        self.looked_at_ms = self.now_ms
        return True

    def take_pattern(self, pattern: int | None) -> None:
        """The pattern of a new round. Raises PatternMissing when it is not with the master, or with the follower."""
        if self.is_master is (pattern is None):
            raise PatternMissing("the master brings a pattern, the follower none")
        self.pattern = pattern

    def begin_delivery(self) -> None:
        """Nothing was asked for yet; where AC, the load has taken what it wants since the contactor closed."""
        self.asked_w = 0
        self.asked_before_w = 0 if self.profile.dc else self.ceiling_w
        self.lowered_at_ms = self.now_ms

    def permit(self) -> Permit:
        """A permit of full life for the present ceiling."""
        return Permit(self.ceiling_w, direction_of(self.setting.role), self.setting.permit_ms)


def tighter(known_w: int | None, limit_w: int) -> int:
    """The lower of two limits, where there was one."""
    return limit_w if known_w is None else min(known_w, limit_w)
