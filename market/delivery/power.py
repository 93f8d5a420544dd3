"""How much power the agreed exposure leaves. Pure arithmetic on the provider's own register.

Between two readings nothing is known but the power that is allowed. So the allowed power is such that, from the last
reading on, the energy left to the bound lasts `RAMP_MS`; without a newer reading the power is cut while it still
holds. Registers show whole Wh, so one Wh is kept back, and the meter may count the classes' error too much.
"""

from market.terms import Offer
from market.units import MS_PER_HOUR, PPM

RAMP_MS = 10_000
"""The energy left to the bound lasts at least this long: the power falls as it is approached, and reaches 0 at it."""
CUT_MS = 3_000
"""From CutPower until no energy flows: the life of a power permit, should the device not answer."""


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
