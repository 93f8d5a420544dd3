import socket

import pytest

from tests.transports.coap.bench import free_port
from transports.coap.datagrams import PortTaken
from transports.coap.multicast import Path, open_asker, open_listener, paths
from transports.coap.settings import IPV4_GROUP, CoapSettings, InvalidSettings

LO = Path(IPV4_GROUP, "lo", socket.if_nametoindex("lo"))


def test_loopback_has_one_path() -> None:
    assert paths(CoapSettings(loopback=True)) == [LO]


def test_every_interface_but_loopback_is_used_unless_named() -> None:
    assert "lo" not in {path.interface for path in paths(CoapSettings())}
    assert {path.interface for path in paths(CoapSettings(interfaces=("lo",)))} == {"lo"}


def test_groups_that_could_not_reach_our_address_are_left_out() -> None:
    named = CoapSettings(host="127.0.0.1", interfaces=("lo",))
    assert {path.group for path in paths(named)} == {IPV4_GROUP}
    assert {path.is_ipv6 for path in paths(CoapSettings(host="::1", interfaces=("lo",)))} <= {True}
    assert paths(CoapSettings(loopback=True, groups=())) == []


def test_an_interface_that_is_not_there_is_named() -> None:
    with pytest.raises(InvalidSettings, match="wlan77"):
        paths(CoapSettings(interfaces=("wlan77",)))


def test_all_nodes_of_a_machine_hear_one_question() -> None:
    settings = CoapSettings(loopback=True, discovery_port=free_port())
    listeners = [open_listener(LO, settings.discovery_port) for _ in range(3)]
    asker = open_asker(LO, settings)
    assert asker is not None
    asker.sendto(b"who is here?", (LO.group, settings.discovery_port))
    for listener in listeners:
        assert listener is not None
        listener.settimeout(2)
        assert listener.recv(100) == b"who is here?"
        listener.close()
    asker.close()


def test_a_program_that_shares_nothing_is_told_of() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hog:
        hog.bind(("", 0))
        with pytest.raises(PortTaken, match="switch discovery off"):
            open_listener(LO, hog.getsockname()[1])


def test_an_interface_that_is_gone_takes_no_part() -> None:
    gone = Path(IPV4_GROUP, "gone", 4_000)
    assert open_listener(gone, free_port()) is None
    assert open_asker(gone, CoapSettings()) is None
