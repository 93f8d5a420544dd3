"""How much power the agreed exposure and the agreed energy leave. Pure arithmetic on the provider's own register.

Between two readings nothing is known but the power that is allowed. So the allowed power is such that, from the last
reading on, the energy left to the bound lasts `RAMP_MS`; without a newer reading the power is cut while it still
holds. Registers show whole Wh, so one Wh is kept back, and the meter may count the classes' error too much.

Towards the end of the agreed energy the power falls likewise, but not below what a converter can hold: the end comes
within seconds, and as soon as waiting for one more reading would overstep. An AC load takes what it wants, and an
outlet that is asked for less trips: there only the end is foreseen.
"""

from market.terms import CurrentKind, Offer
from market.units import MS_PER_HOUR, PPM

RAMP_MS = 10_000
"""The energy left to the bound lasts at least this long: the power falls as it is approached, and reaches 0 at it."""
CUT_MS = 3_000
"""From CutPower until no energy flows: the life of a power permit, should the device not answer."""
LAST_MS = 3_000
"""The agreed energy that is left lasts at least this long: a second between readings, a second in which a device
follows a lower request (IEC 61851-23, t8-t9), and one more to foresee the end in."""
LAST_SHARE = 20
"""A converter holds a twentieth of its power; asked for less it might give nothing, and the end would never come."""
MAX_WAIT_MS = 1_000
"""Between two readings; a meter that fell behind once says nothing of how long the next one takes."""
FOLLOW_MS = 500
"""From CutPower until no energy flows, of a device that answers: several control steps of any converter."""


def allowed_power_w(offer: Offer, unreceipted_wh: int, ceiling_w: int) -> int:
    """The most that may flow now, from 0 to `ceiling_w`."""
    left_wh = offer.exposure_wh - unreceipted_wh - 1
    ramp_w = left_wh * MS_PER_HOUR * PPM // (RAMP_MS * (PPM + offer.tolerance.class_ppm))
    return max(0, min(ceiling_w, ramp_w))


def safe_for_ms(offer: Offer, unreceipted_wh: int, power_w: int) -> int:
    """How long after its last reading `power_w` may go on before it has to be cut, 0 or more."""
    left_wh = offer.exposure_wh - unreceipted_wh - 1
    if power_w <= 0:
        return MS_PER_HOUR
    return max(0, left_wh * MS_PER_HOUR * PPM // (power_w * (PPM + offer.tolerance.class_ppm)) - CUT_MS)


def last_power_w(offer: Offer, left_wh: int, least_w: int, ceiling_w: int) -> int:
    """The most that may flow when `left_wh` are left of the agreed energy, up to `ceiling_w`.

    It falls no lower than `least_w`, the agreed minimum, nor than a twentieth of the ceiling.
    """
    if offer.profile.current_kind is CurrentKind.AC:
        return ceiling_w
    ramp_w = left_wh * MS_PER_HOUR // LAST_MS
    return min(ceiling_w, max(ramp_w, least_w, ceiling_w // LAST_SHARE))


def is_last(left_wh: int, power_w: int, waited_ms: int) -> bool:
    """Whether another reading, `waited_ms` later as the one before, would come too late for what is left."""
    flows_ms = min(waited_ms, MAX_WAIT_MS) + FOLLOW_MS
    return left_wh <= 0 or power_w * flows_ms > left_wh * MS_PER_HOUR
