"""A machine whose kernel has no IPv6: everything works on IPv4 alone."""

import json
import subprocess
import sys

import pytest

from tests.support.commands import PROJECT, environment
from tests.support.netns import namespace

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("namespaces")]

TALK = """
import asyncio, json
from tests.contract.transport_contract import Peer, badge
from transports.coap import CoapSettings, CoapTransport, probe

async def talk():
    findings = {each.code: each.ok for each in await probe(CoapSettings())}
    one, other = CoapTransport(CoapSettings()), CoapTransport(CoapSettings(loopback=True))
    async with one.serving(Peer()), other.serving(Peer()):
        one.announce(badge())
        link = await other.dial(one.address.replace("0.0.0.0", "127.0.0.1"))
        answer = await link.request(b"over IPv4", timeout_ms=2_000)
    print(json.dumps([findings, answer.decode()]))

asyncio.run(talk())
"""


def test_a_node_serves_and_dials_on_ipv4_alone() -> None:
    with namespace() as machine:
        machine.do("sysctl -q -w net.ipv6.conf.all.disable_ipv6=1")
        words = machine.command([sys.executable, "-W", "error", "-c", TALK])
        done = subprocess.run(words, capture_output=True, text=True, env=environment(), cwd=PROJECT)
    assert done.returncode == 0, done.stderr
    findings, answer = json.loads(done.stdout)
    assert not findings["ipv6"]
    assert findings["port"]
    assert answer == "over IPv4"
