"""Twin of market/terms/electrical.py."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import Quantity, Reason, Refusal, TermsInvalid, WouldPass
from market.terms import Connector, CurrentKind, Electrical, Profile, from_map, match_electrical, to_map
from market.units import Role, Service
from tests.market.terms.strategies import of_fields
from tests.market.world import ELECTRICAL, SOCKET

ELECTRICALS = of_fields(Electrical)


@given(record=ELECTRICALS)
def test_a_record_survives_its_map(record: Electrical) -> None:
    assert from_map(Electrical, to_map(record)) == record


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"connectors": ()}, "connectors"), ({"continuous_va": 0}, "continuous_va"), ({"phases": 4}, "phases")],
)
def test_a_record_out_of_bounds_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(TermsInvalid) as refused:
        replace(ELECTRICAL, **changes)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("profile", "master", "current"),
    [
        (Profile.DC_BPT, Role.CLIENT, CurrentKind.DC),
        (Profile.DC_CONVERTER, Role.PROVIDER, CurrentKind.DC),
        (Profile.AC_OUTLET, Role.PROVIDER, CurrentKind.AC),
        (Profile.AC_ISLAND, Role.PROVIDER, CurrentKind.AC),
    ],
)
def test_master_and_meter_follow_from_the_profile(profile: Profile, master: Role, current: CurrentKind) -> None:
    assert (profile.master, profile.reference_meter, profile.current_kind) == (master, master, current)


@pytest.mark.parametrize(
    ("ours", "service", "profile"),
    [
        (ELECTRICAL, Service.V2V, Profile.DC_CONVERTER),
        (ELECTRICAL, Service.V2H, Profile.DC_BPT),
        (ELECTRICAL, Service.V2B, Profile.DC_BPT),
        (SOCKET, Service.V2L, Profile.AC_OUTLET),
        (SOCKET, Service.V2V, Profile.AC_OUTLET),
        (SOCKET, Service.V2H, Profile.AC_ISLAND),
    ],
)
def test_the_service_picks_the_profile(ours: Electrical, service: Service, profile: Profile) -> None:
    assert match_electrical(ours, ours, service, 0) is profile


@pytest.mark.parametrize(
    ("ours", "service", "changes"),
    [
        (ELECTRICAL, Service.V2L, {}),
        (ELECTRICAL, Service.V2V, {"connectors": (Connector.CHADEMO,)}),
        (ELECTRICAL, Service.V2V, {"profiles": (Profile.DC_BPT,)}),
        (ELECTRICAL, Service.V2H, {"voltage_min_mv": 501_000, "voltage_max_mv": 900_000}),
        (SOCKET, Service.V2L, {"frequency_millihz": 60_000}),
        (SOCKET, Service.V2L, {"phases": 3}),
    ],
)
def test_what_can_not_be_joined_is_refused(ours: Electrical, service: Service, changes: dict[str, Any]) -> None:
    assert match_electrical(ours, replace(ours, **changes), service, 0) == Refusal(Reason.INCOMPATIBLE)


def test_a_converter_makes_each_sides_voltage() -> None:
    far = replace(ELECTRICAL, voltage_min_mv=600_000, voltage_max_mv=900_000)
    assert match_electrical(ELECTRICAL, far, Service.V2V, 0) is Profile.DC_CONVERTER


def test_direct_current_needs_isolation_on_one_side() -> None:
    bare = replace(ELECTRICAL, isolated=False)
    assert match_electrical(bare, ELECTRICAL, Service.V2H, 0) is Profile.DC_BPT
    assert match_electrical(bare, bare, Service.V2H, 0) == Refusal(Reason.INCOMPATIBLE)


def test_an_island_needs_a_grid_forming_provider() -> None:
    bare = replace(SOCKET, grid_forming=False)
    assert match_electrical(SOCKET, bare, Service.V2H, 0) is Profile.AC_ISLAND
    assert match_electrical(bare, SOCKET, Service.V2H, 0) == Refusal(Reason.INCOMPATIBLE)


def test_the_weaker_side_says_the_power() -> None:
    weak = replace(ELECTRICAL, continuous_va=3_000)
    refusal = Refusal(Reason.POWER_UNAVAILABLE, WouldPass(Quantity.POWER_W, 3_000))
    assert match_electrical(weak, ELECTRICAL, Service.V2V, 3_001) == refusal
    assert match_electrical(ELECTRICAL, weak, Service.V2V, 3_000) is Profile.DC_CONVERTER


@given(provider=ELECTRICALS, client=ELECTRICALS, service=st.sampled_from(Service), power_w=st.integers(0, 10**7))
def test_a_match_is_known_to_both_and_serves(
    provider: Electrical, client: Electrical, service: Service, power_w: int
) -> None:
    match match_electrical(provider, client, service, power_w):
        case Profile() as profile:
            assert profile in provider.profiles
            assert profile in client.profiles
            assert service in profile.services
            assert power_w <= min(provider.continuous_va, client.continuous_va)
        case Refusal(_, WouldPass(_, passing_w)):
            assert passing_w < power_w
