"""What a person is told who wants to know whether libp2p works here."""

import sys

import pytest

from tests.transports.libp2p.needs import MISSING
from transports.libp2p.probe import probe


def test_it_tells_whether_the_library_loads() -> None:
    (finding,) = probe()
    assert finding.ok is (MISSING is None)
    assert finding.ok or finding.remedy


def test_it_tells_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transports.libp2p.library", None)
    (finding,) = probe()
    assert not finding.ok
    assert "v2xnode[libp2p]" in (finding.remedy or "")
