"""py-libp2p is imported, and its surroundings stay as they were."""

import logging
import subprocess
import sys

import pytest

from transports.libp2p.library import OncePerPlace

PROGRAM = """
import logging, sys, warnings
warnings.simplefilter("error")
theirs = logging.NullHandler()
logging.getLogger("libp2p").addHandler(theirs)
import transports.libp2p.library
assert theirs in logging.getLogger("libp2p").handlers
assert warnings.filters[0][0] == "error"
from transports.libp2p.library import swarm_connection
swarm_connection.logging.debug("a word of the library's")
assert not logging.getLogger().handlers
"""


def test_importing_it_leaves_handlers_and_warnings_alone() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_core_does_not_import_it() -> None:
    program = (
        "import sys, transports.libp2p, transports.libp2p.settings, transports.registry, v2xnode.node;"
        "assert not {'libp2p', 'trio'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_each_complaint_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    handler = OncePerPlace(logging.getLogger("transports.libp2p.library"))
    library = logging.Logger("some.library")
    library.addHandler(handler)
    with caplog.at_level(logging.INFO):
        for number in range(3):
            library.warning("a stranger sent nonsense %d", number)
        library.info("not even once")
    said = [record.getMessage() for record in caplog.records if record.name == "transports.libp2p.library"]
    assert said == ["said once: a stranger sent nonsense 0"]
