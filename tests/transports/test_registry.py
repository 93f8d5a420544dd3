"""Bearers by name: found lazily, and clear about what is missing."""

import sys
from importlib.metadata import EntryPoint, entry_points

import pytest

from transports.errors import LocalTransportError
from transports.memory import MemoryNetwork, MemoryTransport
from transports.registry import GROUP, BearerUnavailable, Registry, UnknownBearer


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, GROUP)


def test_a_bearer_is_made_by_its_name() -> None:
    registry = Registry([point("memory", "transports.memory:MemoryTransport")])
    transport = registry.factory("memory")(MemoryNetwork(1), "home")
    assert isinstance(transport, MemoryTransport)
    assert transport.name == "memory"


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    lazily = "wsgiref.simple_server"
    sys.modules.pop(lazily, None)
    registry = Registry([point("lazy", f"{lazily}:make_server")])
    assert registry.names == ("lazy",)
    assert lazily not in sys.modules
    registry.factory("lazy")
    assert lazily in sys.modules


def test_an_unknown_name_lists_the_known_ones() -> None:
    registry = Registry([point("memory", "a:b"), point("coap", "a:b")])
    with pytest.raises(UnknownBearer, match="coap, memory") as caught:
        registry.factory("pigeon")
    assert isinstance(caught.value, LocalTransportError)
    with pytest.raises(UnknownBearer, match="none"):
        Registry([]).factory("pigeon")


@pytest.mark.parametrize("value", ["no_such_library.bearer:Transport", "transports.memory:NoSuchTransport"])
def test_a_bearer_that_does_not_load_says_what_to_install(value: str) -> None:
    with pytest.raises(BearerUnavailable, match=r"v2xnode\[ble\]") as caught:
        Registry([point("ble", value)]).factory("ble")
    assert isinstance(caught.value, LocalTransportError)


def test_the_installed_ones_are_the_default() -> None:
    assert Registry().names == tuple(sorted(entry_points(group=GROUP).names))
