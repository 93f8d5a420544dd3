"""A third party's CoAP client meets our nodes: libcoap's, which shares no code with us.

The client is Debian's package libcoap3-bin. Without it this is not tested, which continuous integration does not allow.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.commands import environment, free_port, ran, staying, succeeded, until

pytestmark = pytest.mark.processes

PROGRAMS = ("coap-client", "coap-client-notls", "coap-client-openssl", "coap-client-gnutls")
ANSWER_S = 2
"""How long the client waits; on loopback an answer comes within some milliseconds."""
CORE = ".well-known/core"
LINK = re.compile(r'</t>;rt="v2x\.trade";role=1;svc=5;id=[0-9a-f]{10}')


@pytest.fixture(scope="module")
def coap_client() -> str:
    """libcoap's client on this machine."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        missing = "NOT TESTED: libcoap's coap-client is missing (Debian package libcoap3-bin)"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found


@contextmanager
def node(directory: Path, visibility: str, port: int, discovery_port: int) -> Iterator[None]:
    """A running seller on its own port, with a discovery of its own."""
    data, plant, env = directory / "car", directory / "plant.sock", environment()
    mine = {"PORT": port, "DISCOVERY_PORT": discovery_port}
    env |= {f"V2XNODE_COAP__{name}": str(value) for name, value in mine.items()}
    env["V2XNODE_NODE__VISIBILITY"] = visibility
    with staying(["v2xnode", "devices", "plant", "--socket", plant], directory / "plant.log"):
        until(plant.exists, "the plant's start")
        succeeded(["v2xnode", "init", "--data", data, "--plant", plant, "--place", "car_a"])
        with staying(["v2xnode", "run", "--data", data], directory / "node.log", env=env):
            until(lambda: ran(["v2xnode", "trades", "--data", data]).returncode == 0, "the node's start")
            yield


def asked(client: str, address: str, *options: str) -> str:
    """What the client prints on stdout for a GET."""
    return ran([client, "-B", str(ANSWER_S), *options, "-m", "get", address]).stdout.strip()


def test_an_open_node_is_found_by_its_resource_type(coap_client: str, directory: Path) -> None:
    port, discovery_port = free_port(), free_port()
    with node(directory, "open", port, discovery_port):
        assert LINK.fullmatch(asked(coap_client, f"coap://127.0.0.1:{port}/{CORE}"))
        assert LINK.fullmatch(asked(coap_client, f"coap://127.0.0.1:{port}/{CORE}?rt=v2x.trade"))
        assert asked(coap_client, f"coap://127.0.0.1:{port}/{CORE}?rt=core.rd") == ""
        everybody = f"coap://224.0.1.187:{discovery_port}/{CORE}?rt=v2x.trade"
        heard = asked(coap_client, everybody, "-N", "-a", "127.0.0.1")
        assert LINK.fullmatch(heard.replace(f"coap://127.0.0.1:{port}/", "/"))


def test_a_closed_node_says_nothing_at_all(coap_client: str, directory: Path) -> None:
    port = free_port()
    with node(directory, "closed", port, free_port()):
        words = ran([coap_client, "-v", "6", "-B", str(ANSWER_S), "-m", "get", f"coap://127.0.0.1:{port}/{CORE}"])
    assert "timeout" in words.stdout + words.stderr
    assert "v2x" not in words.stdout + words.stderr
    assert "c:" not in (words.stdout + words.stderr).replace("c:GET", "")
