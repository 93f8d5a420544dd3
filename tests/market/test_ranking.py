"""Twin of market/ranking.py."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import TermsInvalid
from market.ranking import Candidate, Travel, Unfit, Wish, judge, landed_price_micro_per_kwh, rank
from market.terms import Connector, Fee, FeeKind, LossRule, PriceKind, Profile, Tolerance
from market.units import MS_PER_HOUR, Service
from tests.market.world import ELECTRICAL, NOW_MS, SOCKET, offer, priced

WISH = Wish(
    service=Service.V2V,
    electrical=ELECTRICAL,
    energy_wh=8_000,
    energy_min_wh=2_000,
    now_ms=NOW_MS,
    end_at_ms=NOW_MS + 2 * MS_PER_HOUR,
)

DEAR = {"price_max_micro_per_kwh": 600_000}


def candidate(name: bytes = b"a", travel: Travel | None = None, efficiency_ppm: int = 10**6, **terms: Any) -> Candidate:
    return Candidate(
        id=name,
        offer=offer(**terms),
        electrical=ELECTRICAL,
        efficiency_ppm=efficiency_ppm,
        travel=travel or Travel(),
    )


def fixed(price: int, name: bytes = b"a", **more: Any) -> Candidate:
    return candidate(name, price_steps=priced(PriceKind.FIXED, (0, price)).price_steps, **more)


def order(*candidates: Candidate, wish: Wish = WISH) -> list[bytes]:
    return [each.candidate.id for each in rank(candidates, wish) if each.unfit is None]


def test_everything_is_counted_for_each_kwh_that_arrives() -> None:
    """8 kWh at 0.30, a fee of 0.50, travel for 1.10: 4.00 in all. 7.2 kWh arrive, of which the way took 0.8."""
    costly = candidate(
        efficiency_ppm=900_000,
        travel=Travel(cost_micro=1_100_000, energy_wh=800),
        fees=(Fee(FeeKind.SESSION, 500_000),),
    )
    assert landed_price_micro_per_kwh(costly, 8_000, NOW_MS) == Fraction(4_000_000 * 1_000, 6_400)
    assert judge(costly, WISH).landed_price_micro_per_kwh == 625_000


def test_the_cheaper_one_wins_and_efficiency_counts() -> None:
    assert order(fixed(300, b"a"), fixed(290, b"b")) == [b"b", b"a"]
    assert order(fixed(300_000, b"a"), fixed(290_000, b"b", efficiency_ppm=900_000)) == [b"a", b"b"]


def test_a_detour_can_make_the_cheaper_one_dearer() -> None:
    far = fixed(250_000, b"far", travel=Travel(distance_m=9_000, energy_wh=1_500))
    assert order(fixed(300_000, b"near"), far) == [b"near", b"far"]


def test_prices_are_compared_exactly() -> None:
    """Both land at 333,333 micro when rounded."""
    one, two = (fixed(100_000, name, efficiency_ppm=ppm) for name, ppm in ((b"a", 299_999), (b"b", 300_000)))
    assert judge(one, WISH).landed_price != judge(two, WISH).landed_price
    assert order(one, two) == [b"b", b"a"]


def test_ties_go_to_the_earlier_end_then_to_the_smaller_id() -> None:
    slow, fast = candidate(b"a", power_w=5_000), candidate(b"b", power_w=9_000)
    assert order(slow, fast, candidate(b"c", power_w=9_000)) == [b"b", b"c", b"a"]


def test_the_queue_delays_the_end() -> None:
    queued = candidate(b"a", travel=Travel(travel_ms=600_000, queue_ms=300_000))
    free = candidate(b"b")
    assert order(queued, free) == [b"b", b"a"]
    end_ms = judge(free, WISH).done_at_ms
    assert end_ms == NOW_MS + 8 * MS_PER_HOUR // 10
    assert judge(queued, WISH).done_at_ms == end_ms + 900_000


def test_a_time_of_use_price_counts_when_the_energy_flows() -> None:
    edge = NOW_MS // 60_000 + 60
    falling = Candidate(
        id=b"falling",
        offer=priced(PriceKind.TIME_OF_USE, (edge - 60, 400_000), (edge, 100_000), power_w=8_000, energy_wh=8_000),
        electrical=ELECTRICAL,
        travel=Travel(queue_ms=MS_PER_HOUR),
    )
    assert order(fixed(200_000, b"fixed"), falling) == [b"falling", b"fixed"]
    assert order(fixed(200_000, b"fixed"), replace(falling, travel=Travel())) == [b"fixed", b"falling"]


@pytest.mark.parametrize(
    ("changes", "wishes", "unfit"),
    [
        ({"currency": "CHF"}, {}, Unfit.CURRENCY),
        ({}, {"electrical": SOCKET}, Unfit.PLUG),
        ({}, {"electrical": replace(ELECTRICAL, connectors=(Connector.NACS,))}, Unfit.PLUG),
        ({"profile": Profile.DC_BPT}, {}, Unfit.PLUG),
        ({"profile": Profile.AC_OUTLET}, {}, Unfit.PLUG),
        ({"power_w": 2_999}, {"power_min_w": 3_000}, Unfit.POWER),
        ({}, {"price_max_micro_per_kwh": 299_999}, Unfit.PRICE),
        ({"tax_permyriad": 1}, {"price_max_micro_per_kwh": 300_000}, Unfit.PRICE),
        ({"fees": (Fee(FeeKind.SESSION, 4_800_001),)}, {"price_max_micro_per_kwh": 600_000}, Unfit.FEES),
        ({"fees": (Fee(FeeKind.SESSION, 4_800_000),), "tax_permyriad": 1}, DEAR, Unfit.FEES),
        ({"energy_wh": 2_000, "fees": (Fee(FeeKind.TRAVEL, 1_200_001),)}, DEAR, Unfit.FEES),
        ({"loss": LossRule(21, 0)}, {}, Unfit.METERS),
        ({"loss": LossRule(0, 40_001)}, {}, Unfit.METERS),
        ({"tolerance": Tolerance(41, 0)}, {}, Unfit.METERS),
        ({"tolerance": Tolerance(0, 60_001)}, {}, Unfit.METERS),
        ({"travel": Travel(distance_m=5_001)}, {"distance_max_m": 5_000}, Unfit.TOO_FAR),
        ({"travel": Travel(energy_wh=501)}, {"spendable_wh": 500}, Unfit.OUT_OF_RANGE),
        ({"energy_wh": 1_999}, {}, Unfit.TOO_LITTLE),
        ({"power_w": 999}, {}, Unfit.TOO_LATE),
        ({"start_at_ms": NOW_MS + 3 * MS_PER_HOUR}, {}, Unfit.TOO_LATE),
        ({"travel": Travel(travel_ms=3 * MS_PER_HOUR)}, {}, Unfit.TOO_LATE),
        ({"travel": Travel(energy_wh=8_000)}, {}, Unfit.NOTHING_ARRIVES),
    ],
)
def test_an_infeasible_offer_says_why(changes: dict[str, Any], wishes: dict[str, Any], unfit: Unfit) -> None:
    judged = judge(candidate(**changes), replace(WISH, **wishes))
    assert (judged.unfit, judged.landed_price_micro_per_kwh) == (unfit, None)
    assert unfit.value.endswith(".")


def test_bounds_themselves_are_feasible() -> None:
    edge = candidate(
        power_w=3_000,
        energy_wh=2_000,
        travel=Travel(distance_m=5_000, energy_wh=500),
        tax_permyriad=10_000,
        fees=(Fee(FeeKind.SESSION, 600_000),),
        loss=LossRule(20, 40_000),
        tolerance=Tolerance(40, 60_000),
    )
    wish = replace(WISH, power_min_w=3_000, price_max_micro_per_kwh=600_000, distance_max_m=5_000, spendable_wh=500)
    assert judge(edge, wish).unfit is None


def test_an_unreachable_target_is_approached() -> None:
    assert judge(candidate(power_w=2_000), WISH).energy_wh == 4_000


def test_the_infeasible_stand_at_the_end_by_id() -> None:
    ranked = rank([candidate(b"z", currency="CHF"), candidate(b"y", currency="CHF"), candidate(b"x")], WISH)
    assert [(each.candidate.id, each.unfit) for each in ranked] == [
        (b"x", None),
        (b"y", Unfit.CURRENCY),
        (b"z", Unfit.CURRENCY),
    ]


def test_an_id_occurs_once() -> None:
    with pytest.raises(TermsInvalid):
        rank([candidate(b"a"), candidate(b"a")], WISH)


@pytest.mark.parametrize(
    "changes",
    [{"energy_wh": 1_000}, {"energy_min_wh": 0}, {"end_at_ms": -1}, {"power_min_w": 1.5}],
)
def test_a_wish_that_is_none_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TermsInvalid):
        replace(WISH, **changes)


@pytest.mark.parametrize("ppm", [0, 10**6 + 1])
def test_efficiency_is_a_part_of_one(ppm: int) -> None:
    with pytest.raises(TermsInvalid):
        candidate(efficiency_ppm=ppm)


OFFERS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([999, 5_000, 9_000]), st.sampled_from([900_000, 1_000_000])),
    max_size=8,
)


@given(made=OFFERS, data=st.data())
def test_the_order_of_the_input_does_not_matter(made: list[tuple[int, int, int]], data: st.DataObject) -> None:
    candidates = [
        fixed(price, bytes([number]), power_w=power, efficiency_ppm=ppm)
        for number, (price, power, ppm) in enumerate(made)
    ]
    assert rank(data.draw(st.permutations(candidates)), WISH) == rank(candidates, WISH)


@given(made=OFFERS)
def test_nothing_feasible_stands_behind_something_dearer(made: list[tuple[int, int, int]]) -> None:
    candidates = [fixed(price, bytes([number]), power_w=power) for number, (price, power, _) in enumerate(made)]
    landed = [each.landed_price for each in rank(candidates, WISH) if each.landed_price is not None]
    assert landed == sorted(landed)
