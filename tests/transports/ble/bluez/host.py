"""A host with Bluetooth: a D-Bus of its own, and a stand-in for bluetoothd on it, in processes of their own."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

START_S = 20
ADDRESSES = [f"00:11:22:33:44:0{number}" for number in range(1, 5)]
"""Of hci0 to hci3."""

CONFIGURATION = """<busconfig>
<listen>unix:path={path}</listen>
<auth>EXTERNAL</auth>
<policy context="default">
  <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  {rules}
</policy>
</busconfig>
"""


def obstacle() -> str | None:
    """What this machine lacks for such a host."""
    if shutil.which("dbus-daemon") is None:
        return "dbus-daemon is not installed (Debian's package dbus-daemon)"
    if find_spec("bluezoo") is None:
        return "bluezoo is not installed (the extra dev)"
    return None


class Host:
    """address: its bus, for DBUS_SYSTEM_BUS_ADDRESS."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self.address = f"unix:path={place / 'bus'}"
        self._bus: subprocess.Popen[str] | None = None
        self._bluetoothd: subprocess.Popen[str] | None = None

    def start_bus(self, rules: str = "") -> None:
        """rules: of the bus's policy, such as one that denies."""
        configuration = self._place / "bus.conf"
        configuration.write_text(CONFIGURATION.format(path=self._place / "bus", rules=rules))
        command = ["dbus-daemon", f"--config-file={configuration}", "--nofork", "--nosyslog", "--print-address"]
        self._bus = started(command, dict(os.environ))

    def start_bluetoothd(self, *options: str, adapters: int = 2) -> None:
        """options: of `stand_in`."""
        assert self._bluetoothd is None
        command = [sys.executable, "-m", "tests.transports.ble.bluez.stand_in", *options]
        for address in ADDRESSES[:adapters]:
            command += ["--adapter", address]
        environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.address}
        self._bluetoothd = started(command, environment)

    def stop_bluetoothd(self) -> None:
        process, self._bluetoothd = self._bluetoothd, None
        stopped(process)

    def stop_bus(self) -> None:
        process, self._bus = self._bus, None
        stopped(process)

    def stop(self) -> None:
        self.stop_bluetoothd()
        self.stop_bus()


@contextmanager
def host() -> Iterator[Host]:
    """Nothing of it runs yet."""
    with tempfile.TemporaryDirectory(prefix="v2x-") as name:
        made = Host(Path(name))
        try:
            yield made
        finally:
            made.stop()


def started(command: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    """Once it said its first line."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    if not process.stdout.readline():
        process.wait(START_S)
        process.stdout.close()
        raise RuntimeError(f"{command[0]} ended with {process.returncode}")
    return process


def stopped(process: subprocess.Popen[str] | None) -> None:
    if process is not None:
        process.terminate()
        process.wait(START_S)
        assert process.stdout is not None
        process.stdout.close()
