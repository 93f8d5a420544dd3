"""What a person is told, on hosts that lack one thing each."""

import asyncio
from pathlib import Path

import pytest
from bleak.exc import BleakError
from dbus_fast import Variant

from tests.transports.ble.bluez.dialer import arriving, asked, dialled, received, serving
from tests.transports.ble.bluez.host import Host
from transports.ble.bluez import bus
from transports.ble.bluez.central import BluezCentral
from transports.ble.bluez.diagnosis import diagnose
from transports.ble.bluez.peripheral import BluezPeripheral
from transports.errors import LocalTransportError
from transports.finding import Finding

DENIED = '<deny send_destination="org.bluez"/>'


async def wrong(adapter: str | None = None) -> list[Finding]:
    """What is in the way; each finding has a remedy. Serving meets the same, in the same words."""
    findings = [finding for finding in await diagnose(adapter) if not finding.ok]
    assert all(finding.remedy for finding in findings)
    return findings


async def refusal(adapter: str | None = None) -> str:
    with pytest.raises(LocalTransportError) as told:
        async with BluezPeripheral(adapter).serving(lambda _: None):
            pass
    return str(told.value)


async def test_no_dbus(own_host: Host) -> None:
    (finding,) = await wrong()
    assert finding.code == "dbus"
    assert "No such file" in finding.sentence
    assert finding.sentence in await refusal()


async def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "this is no address")
    (finding,) = await wrong()
    assert finding.code == "dbus"


@pytest.mark.parametrize(
    ("answer", "code"), [(b"REJECTED EXTERNAL\r\n", "permission"), (b"", "dbus"), (b"OK\r\n", "dbus"), (None, "dbus")]
)
async def test_a_bus_that_does_not_let_us_in(
    answer: bytes | None, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It rejects us, hangs up at once, hangs up after letting us in, or says nothing at all."""
    monkeypatch.setattr(bus, "CALL_MS", 200)
    left = asyncio.Event()

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer:
            await reader.readline()
            writer.write(answer)
            if answer.startswith(b"OK"):
                await reader.readline()
        elif answer is None:
            await reader.read()
        writer.close()
        await writer.wait_closed()
        left.set()

    async with await asyncio.start_unix_server(met, tmp_path / "bus"):
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'bus'}")
        (finding,) = await wrong()
        await left.wait()
    assert finding.code == code


async def test_no_bluetoothd(own_host: Host, tmp_path: Path) -> None:
    own_host.start_bus()
    finding, adapter = await diagnose(kernel_adapters=tmp_path)
    assert (finding.code, finding.ok) == ("bluetoothd", False)
    assert (adapter.code, adapter.ok) == ("adapter", False)
    assert finding.sentence in await refusal()
    (tmp_path / "hci0").mkdir()
    assert await diagnose(kernel_adapters=tmp_path) == [finding]


async def test_no_permission(own_host: Host) -> None:
    own_host.start_bus(DENIED)
    own_host.start_bluetoothd()
    (finding,) = await wrong()
    assert finding.code == "permission"
    assert "group `bluetooth`" in str(finding.remedy)
    assert finding.sentence in await refusal()


async def test_no_adapter(own_host: Host) -> None:
    own_host.start_bus()
    own_host.start_bluetoothd(adapters=0)
    (finding,) = await wrong()
    assert finding.code == "adapter"
    assert finding.sentence in await refusal()


async def test_radio_off(own_host: Host) -> None:
    own_host.start_bus()
    own_host.start_bluetoothd("--off")
    (finding,) = await wrong("hci1")
    assert finding == Finding(
        "radio", False, "the adapter hci1 is switched off", "run `bluetoothctl power on` (hci1 selected)"
    )
    assert finding.sentence in await refusal("hci1")


async def test_bluez_that_is_too_old(own_host: Host) -> None:
    own_host.start_bus()
    own_host.start_bluetoothd("--version", "5.43")
    (finding,) = await wrong()
    assert finding.code == "bluez"
    assert "5.43" in finding.sentence
    assert finding.sentence in await refusal()


async def test_bluez_that_does_not_keep_peers_apart(own_host: Host) -> None:
    """As in Debian 12 and Ubuntu 24.04. It is served, one peer at a time."""
    own_host.start_bus()
    own_host.start_bluetoothd("--version", "5.72", adapters=3)
    (finding,) = await wrong("hci0")
    assert finding.code == "bluez"
    assert "one at a time" in finding.sentence
    async with serving() as (_, arrived), dialled("hci1") as first_dialer:
        first = await arriving(arrived)
        with pytest.raises(BleakError):
            async with dialled("hci2"):
                pass
        await first_dialer.write(b"undisturbed")
        assert await received(first) == b"undisturbed"
        assert isinstance(first, BluezCentral)
        assert not first.has_write_socket
        await first.aclose()
        async with dialled("hci2") as second_dialer:
            await second_dialer.write(b"now")
            assert await received(await arriving(arrived)) == b"now"


async def test_no_peripheral_role(own_host: Host) -> None:
    own_host.start_bus()
    own_host.start_bluetoothd("--roles", "central")
    (finding,) = await wrong()
    assert finding.code == "role"
    assert finding.remedy == "use another adapter"  # no setting does without being seen
    assert finding.sentence in await refusal()


async def test_no_room_for_an_advertisement(own_host: Host) -> None:
    own_host.start_bus()
    own_host.start_bluetoothd("--instances", "1")
    first, second = BluezPeripheral("hci0"), BluezPeripheral("hci0")
    async with first.serving(lambda _: None), second.serving(lambda _: None):
        assert not await wrong()
        await first.advertise(bytes(6))
        (finding,) = await wrong()
        assert finding.code == "advertisements"
        with pytest.raises(LocalTransportError, match="as many advertisements"):
            await second.advertise(bytes(6))
        await first.advertise(bytes([1] * 6))  # in place of its own
        await first.advertise(None)
        await second.advertise(bytes(6))


async def test_one_that_is_discoverable_over_classic_bluetooth(own_host: Host, tmp_path: Path) -> None:
    """As a head unit that was left so after it was paired with a telephone."""
    own_host.start_bus()
    own_host.start_bluetoothd()
    on = ("org.bluez.Adapter1", "Discoverable", Variant("b", True))
    await asked("org.bluez", "/org/bluez/hci0", "org.freedesktop.DBus.Properties", "Set", "ssv", *on)
    (finding,) = await wrong("hci0")
    assert finding.code == "discoverable"
    assert "discoverable off" in str(finding.remedy)
    assert not await wrong("hci1")
    main_conf = tmp_path / "main.conf"
    main_conf.write_text("[General]\nControllerMode = le\n")
    assert all(one.ok for one in await diagnose("hci0", main_conf=main_conf))


@pytest.mark.usefixtures("bluetooth")
class TestAllIsWell:
    async def test_every_finding_says_so(self) -> None:
        findings = await diagnose("hci0")
        assert [finding.code for finding in findings] == ["bluetoothd", "adapter", "radio", "bluez", "role", "privacy"]
        assert all(finding.ok for finding in findings)

    async def test_but_the_adapter_named_is_not_there(self) -> None:
        (finding,) = await wrong("hci7")
        assert finding.code == "adapter"
        assert "hci0, hci1, hci2, hci3" in str(finding.remedy)
        assert finding.sentence in await refusal("hci7")

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("[General]\n#Privacy = off\n", "always shows the same address"),
            ("[General]\nPrivacy = off\n", "always shows the same address"),
            ("[General]\nPrivacy =\n", "always shows the same address"),
            ("[General]\nprivacy = device\n", "changes its address"),
            ("[General]\nPrivacy = network/on\n", "changes its address"),
            ("[General]\nPrivacy = limited-device\n", "changes its address"),
            ("Privacy = device\n[General", "can't be told"),
            (None, "can't be told"),
        ],
    )
    async def test_privacy_as_the_file_has_it(self, text: str | None, sentence: str, tmp_path: Path) -> None:
        """Off is no obstacle, but there is something to say about it."""
        main_conf = tmp_path / "main.conf"
        if text is not None:
            main_conf.write_text(text)
        *_, privacy = await diagnose("hci0", main_conf=main_conf)
        assert privacy.code == "privacy"
        assert privacy.ok
        assert sentence in privacy.sentence
