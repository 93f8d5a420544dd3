"""Our peripheral with a bluetoothd that hangs, refuses, forgets, or asks for what makes no sense."""

import asyncio
import random
from typing import Any

import pytest
from dbus_fast import Message, MessageType, Variant

from tests.contract.transport_contract import open_descriptors, until
from tests.transports.ble.bluez.dialer import DATA, arriving, lost, outsider, received
from tests.transports.ble.bluez.host import Host
from tests.transports.ble.bluez.rough import RoughBluetoothd, meeting, path, rough_bluetoothd
from transports.ble.bluez.diagnosis import diagnose
from transports.ble.bluez.names import (
    ADVERTISEMENT,
    ADVERTISEMENT_PATH,
    APPLICATION_PATH,
    GATT_CHARACTERISTIC,
    GATT_SERVICE,
    NOTIFY_PATH,
    OBJECT_MANAGER,
    PROPERTIES,
    SERVICE_PATH,
    WRITE_PATH,
)
from transports.ble.bluez.peripheral import BluezPeripheral
from transports.ble.gatt import NOTIFY_UUID, SERVICE_UUID, WRITE_UUID
from transports.errors import LocalTransportError

ADAPTER_PATH = "/org/bluez/hci0"
FAILED = "org.bluez.Error.Failed"


pytestmark = pytest.mark.usefixtures("hurried_bus")


async def test_what_bluetoothd_reads_of_us() -> None:
    async with meeting() as (rough, peripheral, _):
        answer = await rough.call(APPLICATION_PATH, OBJECT_MANAGER, "GetManagedObjects", "")
        objects = {path: {name: one.value for name, one in found.items()} for path, found in _only(answer.body[0])}
        assert objects == {
            SERVICE_PATH: {"UUID": SERVICE_UUID, "Primary": True},
            WRITE_PATH: {
                "UUID": WRITE_UUID,
                "Service": SERVICE_PATH,
                "Flags": ["write", "write-without-response"],
                "WriteAcquired": False,
            },
            NOTIFY_PATH: {"UUID": NOTIFY_UUID, "Service": SERVICE_PATH, "Flags": ["notify"], "NotifyAcquired": False},
        }
        answer = await rough.call(SERVICE_PATH, PROPERTIES, "GetAll", "s", GATT_SERVICE)
        assert answer.body[0]["UUID"].value == SERVICE_UUID
        answer = await rough.call(NOTIFY_PATH, PROPERTIES, "Get", "ss", GATT_CHARACTERISTIC, "UUID")
        assert answer.body[0].value == NOTIFY_UUID
        assert (await _advertised(rough)).message_type is MessageType.ERROR
        await peripheral.advertise(DATA)
        shown = (await _advertised(rough)).body[0]
        assert shown["ManufacturerData"].value[0xFFFF].value == DATA
        assert shown["ServiceUUIDs"].value == [SERVICE_UUID]
        assert shown["Type"].value == "peripheral"
        await peripheral.advertise(None)
        assert (await _advertised(rough)).message_type is MessageType.ERROR


@pytest.mark.parametrize("member", ["GetManagedObjects", "RegisterApplication"])
@pytest.mark.parametrize("how", ["deaf", "refusing"])
async def test_a_registration_that_fails_leaves_nothing(member: str, how: str) -> None:
    async with rough_bluetoothd() as rough:
        tasks, descriptors = asyncio.all_tasks(), open_descriptors()
        if how == "deaf":
            rough.deaf.add(member)
        else:
            rough.refused[member] = "org.bluez.Error.AlreadyExists"
        with pytest.raises(LocalTransportError, match=f"{member} .*(no answer|AlreadyExists)"):
            async with BluezPeripheral("hci0").serving(lambda _: None):
                pass
        assert asyncio.all_tasks() <= tasks
        assert open_descriptors() == descriptors


async def test_an_advertisement_that_fails_can_be_tried_again() -> None:
    async with meeting() as (rough, peripheral, _):
        rough.deaf.add("RegisterAdvertisement")
        with pytest.raises(LocalTransportError, match="no answer"):
            await peripheral.advertise(DATA)
        rough.deaf.clear()
        await peripheral.advertise(DATA)
        calls = [member for _, member in rough.called if member.endswith("Advertisement")]
        assert calls == ["RegisterAdvertisement", "UnregisterAdvertisement", "RegisterAdvertisement"]


async def test_leaving_a_bluetoothd_that_hangs_takes_no_longer_than_its_deadlines() -> None:
    async with meeting() as (rough, peripheral, arrived):
        await peripheral.advertise(DATA)
        await rough.subscribed(1)
        central = await arriving(arrived)
        rough.deaf |= {"Disconnect", "UnregisterAdvertisement", "UnregisterApplication"}
        before_s = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - before_s < 2
    await lost(central)


async def test_when_our_advertisement_is_taken_down_all_is_registered_anew() -> None:
    async with meeting() as (rough, peripheral, _):
        await peripheral.advertise(DATA)
        await rough.call(ADVERTISEMENT_PATH, ADVERTISEMENT, "Release", "")
        await until(lambda: [member for _, member in rough.called].count("RegisterAdvertisement") == 2, 5_000)
        assert (await _advertised(rough)).body[0]["ManufacturerData"].value[0xFFFF].value == DATA


async def test_the_bus_goes_in_the_middle_of_a_call(own_host: Host) -> None:
    async with meeting() as (rough, peripheral, _):
        rough.deaf.add("RegisterAdvertisement")
        showing = asyncio.create_task(peripheral.advertise(DATA))
        await until(lambda: (ADAPTER_PATH, "RegisterAdvertisement") in rough.called, 5_000)
        own_host.stop_bus()
        with pytest.raises(LocalTransportError):
            await showing
        await until(lambda: peripheral.adapter is None, 5_000)


async def test_back_but_not_to_be_seen(caplog: pytest.LogCaptureFixture) -> None:
    async with meeting() as (rough, peripheral, _):
        await peripheral.advertise(DATA)
        rough.refused["RegisterAdvertisement"] = "org.bluez.Error.NotPermitted"
        await rough.call(ADVERTISEMENT_PATH, ADVERTISEMENT, "Release", "")
        await until(lambda: "back, but not to be seen: other programs show" in caplog.text, 5_000)
        rough.refused.clear()
        await peripheral.advertise(DATA)
        assert (await _advertised(rough)).body[0]["ManufacturerData"].value[0xFFFF].value == DATA


async def test_a_bluez_of_unknown_version_counts_as_new_enough() -> None:
    async with rough_bluetoothd() as rough:
        rough.adapter["org.bluez.Adapter1"]["Modalias"] = Variant("s", "usb:v1234p5678d9ABC")
        (bluez,) = [finding for finding in await diagnose() if finding.code == "bluez"]
        assert bluez.ok
        assert "can't be told" in bluez.sentence
        async with BluezPeripheral().serving(lambda _: None):
            await rough.subscribed(1)
            assert (await rough.subscribed(2)).error_name is None


async def test_only_bluetoothd_counts() -> None:
    """Where the bus's policy lets anybody call us and send us signals: here."""
    async with meeting() as (rough, peripheral, arrived), outsider() as other:
        rough.socket_of(await rough.subscribed(1))
        central = await arriving(arrived)
        us = await rough.us
        changed: list[Any] = ["org.bluez.Device1", {"Connected": Variant("b", False)}, []]
        removed: list[Any] = ["/org/bluez/hci0", ["org.bluez.Adapter1"]]
        for forged in (
            Message.new_signal(path(1), PROPERTIES, "PropertiesChanged", "sa{sv}as", changed),
            Message.new_signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas", removed),
        ):
            forged.destination = us
            await other.send(forged)
        options = {"device": Variant("o", path(1))}
        for where, member, signature, body in (
            (WRITE_PATH, "WriteValue", "aya{sv}", [b"forged", options]),
            (WRITE_PATH, "AcquireWrite", "a{sv}", [options]),
            (NOTIFY_PATH, "AcquireNotify", "a{sv}", [options]),
        ):
            call = Message(us, where, GATT_CHARACTERISTIC, member, signature=signature, body=body)
            assert (await other.call(call)).error_name == "org.freedesktop.DBus.Error.AccessDenied"
        await rough.wrote(1, b"genuine")
        assert await received(central) == b"genuine"
        assert arrived.empty()
        assert peripheral.adapter == "hci0"


async def test_calls_that_make_no_sense_change_nothing() -> None:
    rng = random.Random(4)
    values: list[tuple[str, Any]] = [
        ("s", "word"), ("s", ""), ("y", 7), ("ay", b"bytes"), ("a{sv}", {}), ("as", []), ("o", "/"), ("b", True),
        ("a{sv}", {"device": Variant("s", "/org/bluez/hci0/dev_00_00_00_00_00_01")}),
        ("a{sv}", {"device": Variant("u", 1)}), ("a{sv}", {"mtu": Variant("q", 100)}), ("v", Variant("x", -1)),
        ("a{sv}", {"device": Variant("as", [])}), ("aay", [b""]),
    ]  # fmt: skip
    methods = [
        (PROPERTIES, "GetAll"), (PROPERTIES, "Get"), (PROPERTIES, "Set"), (OBJECT_MANAGER, "GetManagedObjects"),
        (GATT_CHARACTERISTIC, "WriteValue"), (GATT_CHARACTERISTIC, "AcquireWrite"), (GATT_CHARACTERISTIC, "ReadValue"),
        (GATT_CHARACTERISTIC, "AcquireNotify"), (GATT_CHARACTERISTIC, "StartNotify"), ("org.bluez.Nothing", "Nonsense"),
    ]  # fmt: skip
    paths = ["/", APPLICATION_PATH, SERVICE_PATH, WRITE_PATH, NOTIFY_PATH, ADVERTISEMENT_PATH, "/elsewhere"]
    async with meeting() as (rough, peripheral, arrived):
        rough.socket_of(await rough.subscribed(1))
        central = await arriving(arrived)
        options = [value for value in values if value[0] == "a{sv}"]
        for turn in range(1_500):
            where = rng.choice(paths)
            if turn % 2:
                given, (interface, member) = rng.choices(values, k=rng.randrange(4)), rng.choice(methods)
            else:  # at least the signature is right
                where, member = rng.choice([(NOTIFY_PATH, "AcquireNotify"), (WRITE_PATH, "WriteValue")])
                interface, given = GATT_CHARACTERISTIC, [rng.choice(options)]
                if member == "WriteValue":
                    given.insert(0, ("ay", rng.randbytes(rng.randrange(600))))
            signature = "".join(kind for kind, _ in given)
            answer = await rough.call(where, interface, member, signature, *(value for _, value in given))
            assert "internal error" not in str(answer.body).lower(), (where, interface, member, given)
        while not arrived.empty():  # a device given as a word is one too
            central = arrived.get_nowait()
        await rough.wrote(1, b"undisturbed")
        assert await received(central) == b"undisturbed"
        assert peripheral.adapter == "hci0"


async def _advertised(rough: RoughBluetoothd) -> Message:
    return await rough.call(ADVERTISEMENT_PATH, PROPERTIES, "GetAll", "s", ADVERTISEMENT)


def _only(objects: dict[str, dict[str, dict[str, Variant]]]) -> list[tuple[str, dict[str, Variant]]]:
    """Each has one interface."""
    return [(where, next(iter(interfaces.values()))) for where, interfaces in objects.items()]
