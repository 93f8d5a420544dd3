from hypothesis import given
from hypothesis import strategies as st

from market.terms import Profile
from market.units import Role
from v2xnode.devices.interface import Direction
from v2xnode.devices.plant.cable import Cable, CableSpec
from v2xnode.devices.plant.flow import solve
from v2xnode.devices.plant.terminal import HeldPermit, Terminal, TerminalSpec


def terminal(role: Role, permit_w: int, standby_w: int, loss_ppm: int) -> Terminal:
    spec = TerminalSpec(
        profile=Profile.DC_CONVERTER, role=role, battery="b", max_power_w=11_000, max_current_ma=30_000,
        standby_w=standby_w, loss_ppm=loss_ppm,
    )  # fmt: skip
    device = Terminal(role.name.lower(), spec)
    device.permit = HeldPermit(permit_w, Direction.OUT, 1)
    device.setpoint_w = None
    return device


WATTS = st.integers(0, 12_000)
PPM = st.integers(0, 200_000)


@given(give=st.integers(0, 10**8), take=st.integers(0, 10**8), a=WATTS, b=WATTS, pa=PPM, pb=PPM, pc=PPM,
       ohm=st.integers(0, 3_000), standby=st.integers(0, 200), volt=st.integers(200_000, 900_000))  # fmt: skip
def test_every_limit_holds_with_all_losses_counted(
    give: int, take: int, a: int, b: int, pa: int, pb: int, pc: int, ohm: int, standby: int, volt: int
) -> None:
    cable = Cable("w", CableSpec(resistance_mohm=ohm, standby_w=standby, loss_ppm=pc))
    provider, client = terminal(Role.PROVIDER, a, standby, pa), terminal(Role.CLIENT, b, standby, pb)
    flow = solve(cable, provider, client, give_mw=give, take_mw=take, volt_mv=volt)
    assert flow.taken_mw >= flow.sent_mw >= flow.received_mw >= flow.delivered_mw >= 0
    assert flow.taken_mw <= give
    assert flow.delivered_mw <= take
    assert flow.sent_mw <= min(a, 11_000) * 1000
    assert flow.received_mw <= min(b, 11_000) * 1000
    assert flow.sent_mw * 1000 <= 30_000 * volt
    if flow.taken_mw:
        assert flow.sent_mw == flow.received_mw + cable.loss_mw(flow.received_mw, volt)


def test_what_is_asked_for_is_what_flows_when_nothing_limits_it() -> None:
    cable = Cable("w", CableSpec(resistance_mohm=0))
    provider, client = terminal(Role.PROVIDER, 9_000, 0, 0), terminal(Role.CLIENT, 4_000, 0, 0)
    flow = solve(cable, provider, client, give_mw=10**8, take_mw=10**8, volt_mv=400_000)
    assert (flow.taken_mw, flow.delivered_mw) == (4_000_000, 4_000_000)
