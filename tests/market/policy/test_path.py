"""Twin of market/policy/path.py."""

import pytest

from market.policy.path import METER_CLASS_PPM, PATH_TERMS, silence_rule
from market.settlement import Agreed, agree
from market.terms import Profile, SilenceRule
from market.units import MS_PER_HOUR, PPM, Service
from tests.market.world import offer


@pytest.mark.parametrize(
    ("service", "rule"),
    [
        (Service.V2V, SilenceRule.POWER_OFF),
        (Service.V2L, SilenceRule.TO_EXPOSURE),
        (Service.V2H, SilenceRule.TO_EXPOSURE),
        (Service.V2B, SilenceRule.TO_EXPOSURE),
    ],
)
def test_a_blackout_can_be_the_greater_harm(service: Service, rule: SilenceRule) -> None:
    assert silence_rule(service) is rule


@pytest.mark.parametrize("profile", list(Profile))
@pytest.mark.parametrize("worse", [-1, 1])
@pytest.mark.parametrize("hours", [1, 5])
def test_honest_meters_of_opposite_errors_agree(profile: Profile, worse: int, hours: int) -> None:
    """Both at the edge of their class, in opposite directions, with a path that loses what the rule says."""
    terms = PATH_TERMS[profile]
    made = offer(profile=profile, loss=terms.loss, tolerance=terms.tolerance)
    sent_wh = 10_000 * hours
    arrived_wh = sent_wh - terms.loss.standby_w * hours - sent_wh * terms.loss.loss_ppm // PPM
    shown_wh = sent_wh + worse * sent_wh * METER_CLASS_PPM // PPM
    seen_wh = arrived_wh - worse * arrived_wh * METER_CLASS_PPM // PPM
    assert isinstance(agree(made, shown_wh, seen_wh, hours * MS_PER_HOUR), Agreed)
