"""Hosts with Bluetooth for these tests. Where a machine can't have them the tests are skipped aloud; in continuous
integration they fail instead."""

import os
from collections.abc import Iterator

import pytest

from tests.transports.ble.bluez.host import Host, host, obstacle
from transports.ble.bluez import bus, peripheral


@pytest.fixture(scope="session")
def _can_be_had() -> None:
    missing = obstacle()
    if missing is not None:
        said = f"the peripheral over BlueZ is not tested: {missing}"
        if os.environ.get("CI"):
            pytest.fail(said)
        pytest.skip(said)


@pytest.fixture(scope="module")
def shared_host(_can_be_had: None) -> Iterator[Host]:
    """Four adapters that are on: hci0 for our peripheral, the others for centrals. No test may stop it."""
    with host() as made:
        made.start_bus()
        made.start_bluetoothd(adapters=4)
        yield made


@pytest.fixture
def bluetooth(shared_host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", shared_host.address)
    return shared_host


@pytest.fixture
def own_host(_can_be_had: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """For one test alone; nothing runs yet."""
    with host() as made:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", made.address)
        yield made


@pytest.fixture
def hurried_bus(own_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a bluetoothd of the test's own, which is waited for no longer than needs be."""
    monkeypatch.setattr(bus, "CALL_MS", 300)
    monkeypatch.setattr(peripheral, "RETRY_MS", (20, 50))
    own_host.start_bus()
