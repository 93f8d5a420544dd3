import os
import socket

from tests.transports.coap.bench import LoopbackBench, free_port, serving
from transports.coap import CoapSettings, probe
from transports.coap.datagrams import has_ipv6
from transports.finding import Finding


def by_code(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.code: finding for finding in findings}


async def test_a_machine_in_order_has_nothing_to_do(bench: LoopbackBench) -> None:
    descriptors = os.listdir("/proc/self/fd")
    findings = await probe(bench.settings("a"))
    assert {finding.code for finding in findings} == {"port", "ipv6", "multicast"}
    assert all(finding.ok and finding.sentence and finding.remedy is None for finding in findings)
    assert os.listdir("/proc/self/fd") == descriptors


async def test_a_taken_port_is_found_and_other_nodes_do_not_disturb(bench: LoopbackBench) -> None:
    async with serving(bench.settings("a")):
        findings = by_code(await probe(bench.settings("a")))
    assert not findings["port"].ok
    assert findings["port"].remedy == "stop it, or choose another port"
    assert findings["multicast"].ok


async def test_a_program_that_keeps_the_discovery_port_is_found() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hog:
        hog.bind(("", 0))
        findings = by_code(await probe(CoapSettings(loopback=True, discovery_port=hog.getsockname()[1])))
    assert not findings["multicast"].ok
    assert "stop it" in (findings["multicast"].remedy or "")


async def test_an_interface_that_is_not_there_is_found() -> None:
    findings = by_code(await probe(CoapSettings(interfaces=("wlan77",), discovery_port=free_port())))
    assert not findings["multicast"].ok
    assert "wlan77" in findings["multicast"].sentence


async def test_switched_off_discovery_is_no_trouble() -> None:
    assert by_code(await probe(CoapSettings(loopback=True, groups=())))["multicast"].ok


async def test_the_kernels_ipv6_is_told() -> None:
    assert by_code(await probe(CoapSettings(discovery_port=free_port())))["ipv6"].ok == has_ipv6()
