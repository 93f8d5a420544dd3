"""The connectors of this node: for each power-path profile and role, the devices behind it."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from market.terms import Electrical, Profile
from market.units import Role
from v2xnode.config import Config
from v2xnode.devices.interface import DeviceSet
from v2xnode.devices.registry import find_driver
from v2xnode.errors import LocalError
from v2xnode.power.events import PathLimits


@dataclass(frozen=True, slots=True)
class Connector:
    """One connector, and the devices behind it."""

    profile: Profile
    role: Role
    devices: DeviceSet


class Connectors:
    """All connectors of a node."""

    def __init__(self, connectors: Iterable[Connector]) -> None:
        self._connectors = {(each.profile, each.role): each for each in connectors}

    def find(self, profile: Profile, role: Role) -> Connector | None:
        """The connector for one side of a profile."""
        return self._connectors.get((profile, role))

    def record_as(self, role: Role, electrical: Electrical) -> Electrical:
        """The part of a record that this node can act on in a role. Raises LocalError when there is no connector for
        any of its profiles: what can't be plugged must not be agreed."""
        able = tuple(profile for profile in electrical.profiles if (profile, role) in self._connectors)
        if not able:
            raise LocalError(f"This node has no connector as {role.name.lower()} of energy.", code="no_path")
        return replace(electrical, profiles=able)

    @property
    def battery(self) -> DeviceSet | None:
        """Devices with the battery behind this node, if it has one."""
        return next((each.devices for each in self._connectors.values() if each.devices.battery is not None), None)


@asynccontextmanager
async def open_connectors(config: Config) -> AsyncIterator[Connectors]:
    """Open every configured path. Raises DeviceError, naming what is wrong."""
    driver = find_driver(config.devices.driver)
    async with AsyncExitStack() as stack:
        yield Connectors(
            [
                Connector(
                    Profile[path.profile],
                    Role[path.role.upper()],
                    await stack.enter_async_context(driver(path.options)),
                )
                for path in config.devices.paths
            ]
        )


def limits_of(electrical: Electrical) -> PathLimits:
    """What one side's record means for the interlock: the largest current is that at its lowest voltage."""
    lowest_mv = max(electrical.voltage_min_mv, 1_000)
    return PathLimits(
        min_voltage_mv=lowest_mv,
        max_voltage_mv=max(electrical.voltage_max_mv, lowest_mv),
        max_current_ma=max(1, electrical.continuous_va * 1_000_000 // lowest_mv),
        max_power_w=electrical.continuous_va,
    )
