"""Device drivers by name: the shipped one, and what other distributions offer as entry points `v2xnode.devices`.

A driver is a callable that takes its options and returns an async context manager of a `DeviceSet`.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from importlib.metadata import entry_points
from typing import cast

from v2xnode.devices.errors import DeviceUnknown
from v2xnode.devices.interface import DeviceSet
from v2xnode.devices.simulated import open_simulated

ENTRY_POINT_GROUP = "v2xnode.devices"

DeviceDriver = Callable[[Mapping[str, str]], AbstractAsyncContextManager[DeviceSet]]


def driver_names() -> tuple[str, ...]:
    """All drivers that are installed here."""
    return tuple(sorted({"simulated", *entry_points(group=ENTRY_POINT_GROUP).names}))


def find_driver(name: str) -> DeviceDriver:
    """The driver of this name; the shipped one can't be replaced. Raises DeviceUnknown, naming what is installed."""
    if name == "simulated":
        return open_simulated
    for point in entry_points(group=ENTRY_POINT_GROUP, name=name):
        return _loaded(name, point.load)
    raise DeviceUnknown(f"No device driver {name!r} is installed here; there are {', '.join(driver_names())}.")


def _loaded(name: str, load: Callable[[], object]) -> DeviceDriver:
    try:
        driver = load()
    except (ImportError, AttributeError) as error:
        raise DeviceUnknown(f"The device driver {name!r} does not load: {error}") from error
    if not callable(driver):
        raise DeviceUnknown(f"The device driver {name!r} is not a callable.")
    return cast(DeviceDriver, driver)
