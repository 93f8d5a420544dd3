"""Twin of market/policy/checks.py."""

from dataclasses import replace
from typing import Any

import pytest

from market.errors import Quantity, Reason, Refusal, WouldPass
from market.policy import Case, Departure, StrangerRule, Window, window_of
from market.policy.checks import HORIZON_MS, Passage, passage
from market.terms import Connector, LossRule, Profile
from market.units import MAX_DURATION_MS, MS_PER_HOUR, Service
from tests.market.world import CLIENT, ELECTRICAL, NOW_MS, OTHER, battery, case, committed, policy, request

HOUR = MS_PER_HOUR
WHOLE = Window(NOW_MS, NOW_MS + 2 * HOUR)


def start(reason: Reason, at_ms: int) -> Refusal:
    return Refusal(reason, WouldPass(Quantity.START_AT_MS, at_ms))


def test_the_way_through() -> None:
    assert passage(case()) == Passage(Profile.DC_CONVERTER, WHOLE, 11_000)


LISTED = frozenset({CLIENT})


@pytest.mark.parametrize(
    ("limits", "commitments", "reason"),
    [
        ({"block": LISTED}, {"peer_known": True, "owner_said_yes": True}, Reason.BLOCKED),
        ({"only_listed": True}, {"peer_known": True, "owner_said_yes": True}, Reason.NOT_LISTED),
        ({"only_listed": True, "allow": frozenset({OTHER})}, {}, Reason.NOT_LISTED),
        ({"only_listed": True, "allow": LISTED, "strangers": StrangerRule.NO}, {}, None),
        ({"strangers": StrangerRule.ASK}, {}, Reason.STRANGER),
        ({"strangers": StrangerRule.ASK}, {"owner_said_yes": True}, None),
        ({"strangers": StrangerRule.ASK}, {"peer_known": True}, None),
        ({"strangers": StrangerRule.ASK, "allow": LISTED}, {}, None),
        ({"strangers": StrangerRule.NO}, {}, Reason.NOT_LISTED),
        ({"strangers": StrangerRule.NO}, {"peer_known": True}, None),
        ({"strangers": StrangerRule.YES}, {}, None),
        ({"allow": LISTED}, {"peer_known": True, "owner_said_yes": True, "peer_forked": True}, Reason.FORKED),
    ],
)
def test_who_is_welcome(limits: dict[str, Any], commitments: dict[str, Any], reason: Reason | None) -> None:
    answer = passage(case(policy=policy(**limits), commitments=committed(**commitments)))
    assert answer == Refusal(reason) if reason else isinstance(answer, Passage)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"request": request(service=Service.V2L)}, Refusal(Reason.SERVICE_OFF)),
        ({"client_currency": "CHF"}, Refusal(Reason.CURRENCY_MISMATCH)),
        ({"client": replace(ELECTRICAL, connectors=(Connector.NACS,))}, Refusal(Reason.INCOMPATIBLE)),
        ({"battery": battery(max_discharge_w=0)}, Refusal(Reason.POWER_UNAVAILABLE)),
        (
            {"request": request(power_min_w=5_000), "policy": policy(max_power_w=4_000)},
            Refusal(Reason.POWER_UNAVAILABLE, WouldPass(Quantity.POWER_W, 4_000)),
        ),
    ],
)
def test_what_can_not_be_served(changes: dict[str, Any], refusal: Refusal) -> None:
    assert passage(case(**changes)) == refusal


@pytest.mark.parametrize(
    ("changes", "power_w"),
    [
        ({"request": request(power_max_w=2_000)}, 2_000),
        ({"policy": policy(max_power_w=3_000)}, 3_000),
        ({"provider": replace(ELECTRICAL, continuous_va=4_000)}, 4_000),
        ({"client": replace(ELECTRICAL, continuous_va=5_000)}, 5_000),
        ({"battery": battery(max_discharge_w=6_300, loss=LossRule(0, 50_000))}, 6_000),
        ({"battery": None}, 11_000),
    ],
)
def test_the_weakest_says_the_power(changes: dict[str, Any], power_w: int) -> None:
    answer = passage(case(**changes))
    assert isinstance(answer, Passage)
    assert answer.power_w == power_w


def at(start_at_ms: int, window_ms: int = 2 * HOUR, **changes: Any) -> Case:
    return case(request=request(start_at_ms=start_at_ms, window_ms=window_ms), **changes)


@pytest.mark.parametrize(
    ("asked", "window"),
    [
        (at(0), WHOLE),
        (at(NOW_MS + HOUR), Window(NOW_MS + HOUR, NOW_MS + 3 * HOUR)),
        (at(NOW_MS - HOUR), Window(NOW_MS, NOW_MS + HOUR)),
        (at(NOW_MS + HORIZON_MS, MAX_DURATION_MS), Window(NOW_MS + HORIZON_MS, NOW_MS + HORIZON_MS + MAX_DURATION_MS)),
    ],
)
def test_the_asked_window(asked: Case, window: Window) -> None:
    assert window_of(asked) == window


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        (at(NOW_MS - 2 * HOUR), start(Reason.WINDOW_UNAVAILABLE, NOW_MS)),
        (at(NOW_MS + HORIZON_MS + 1), start(Reason.WINDOW_UNAVAILABLE, NOW_MS + HORIZON_MS)),
        (at(NOW_MS + HOUR, clock_trusted=False), start(Reason.WINDOW_UNAVAILABLE, 0)),
    ],
)
def test_a_window_that_can_not_be(asked: Case, refusal: Refusal) -> None:
    assert window_of(asked) == refusal


def test_a_departure_ends_the_window() -> None:
    leaving = policy(departure=Departure(NOW_MS + HOUR, 0))
    assert window_of(case(policy=leaving)) == Window(NOW_MS, NOW_MS + HOUR)
    assert window_of(at(NOW_MS + HOUR, policy=leaving)) == start(Reason.DEPARTURE, NOW_MS)


def test_a_past_departure_ends_nothing() -> None:
    assert window_of(case(policy=policy(departure=Departure(NOW_MS, 0)))) == WHOLE


def test_by_a_bad_clock_a_departure_ends_no_window() -> None:
    leaving = policy(departure=Departure(NOW_MS + HOUR, 0))
    assert window_of(case(policy=leaving, clock_trusted=False)) == WHOLE


def taken(*hours: tuple[int, int]) -> dict[str, Any]:
    windows = tuple(Window(NOW_MS + first * HOUR, NOW_MS + last * HOUR) for first, last in hours)
    return {"commitments": committed(windows=windows)}


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        ([(1, 3)], Window(NOW_MS, NOW_MS + HOUR)),
        ([(2, 3)], WHOLE),
        ([(0, 1)], start(Reason.CONNECTOR_BUSY, NOW_MS + HOUR)),
        ([(4, 5), (1, 3), (0, 1)], start(Reason.CONNECTOR_BUSY, NOW_MS + 3 * HOUR)),
        ([(0, 1), (2, 3)], start(Reason.CONNECTOR_BUSY, NOW_MS + HOUR)),
    ],
)
def test_a_connector_is_free_between_its_commitments(hours: list[tuple[int, int]], expected: Window | Refusal) -> None:
    assert window_of(case(**taken(*hours))) == expected


def test_a_window_that_has_just_ended_is_free() -> None:
    assert window_of(case(**taken((-1, 0)))) == WHOLE


def test_by_a_bad_clock_each_commitment_may_be_now() -> None:
    assert window_of(case(clock_trusted=False, **taken((5, 6)))) == Refusal(Reason.CONNECTOR_BUSY)
