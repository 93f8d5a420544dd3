"""Connecting: what platforms do differently, and what goes wrong on the way."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import NotifyCallback
from bleak.backends.device import BLEDevice
from bleak.exc import BleakDBusError, BleakError
from bumble.gatt import Characteristic, CharacteristicValue, Service

from tests.contract.transport_contract import Peer, badge, until
from tests.transports.ble.bench import AirBench
from transports.ble import central
from transports.ble.central import ACKNOWLEDGED_EVERY, MAX_ATTEMPTS, Centre
from transports.ble.ear import Ear
from transports.ble.gatt import NOTIFY_UUID, SERVICE_UUID, WRITE_UUID
from transports.ble.peripheral import MAX_WRITES, Central
from transports.ble.pipe import Octets
from transports.ble.transport import BleTransport
from transports.ble.virtual.air import Air
from transports.ble.virtual.client import VirtualClient
from transports.ble.virtual.radio import VirtualRadio
from transports.errors import LinkLost
from transports.identifier import pack_announcement

WITHIN_MS = 5_000


class OddRadio(VirtualRadio):
    """Its client is another one."""

    def __init__(self, place: str, client: type[VirtualClient]) -> None:
        super().__init__(place)
        self._client = client

    def client(self, device: BLEDevice, lost: Callable[[BleakClient], None]) -> BleakClient:
        return BleakClient(device, lost, [SERVICE_UUID], backend=self._client, radio=self.device())


class WithoutAcquire(VirtualClient):
    """Refuses AcquireNotify, as BlueZ does for a second one."""

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **kwargs: Any
    ) -> None:
        if not kwargs["bluez"].get("use_start_notify", True):
            raise BleakDBusError("org.bluez.Error.NotPermitted", ["Notify acquired"])
        await super().start_notify(characteristic, callback, **kwargs)


class Deaf(VirtualClient):
    """Can't subscribe at all."""

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **kwargs: Any
    ) -> None:
        raise BleakError("Operation failed with ATT error: 0x0e")


class Reluctant(VirtualClient):
    """Connects at the last attempt only."""

    attempts = 0

    async def connect(self, pair: bool, **kwargs: Any) -> None:
        Reluctant.attempts += 1
        if Reluctant.attempts % MAX_ATTEMPTS:
            raise BleakDBusError("org.bluez.Error.Failed", ["le-connection-abort-by-local"])
        await super().connect(pair, **kwargs)


class Never(VirtualClient):
    """Does not connect."""

    async def connect(self, pair: bool, **kwargs: Any) -> None:
        raise BleakDBusError("org.bluez.Error.InProgress", ["In Progress"])


class Small(VirtualClient):
    """Never agrees on a size; remembers how it wrote."""

    responses: list[bool]

    @property
    def mtu_size(self) -> int:
        return 23

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: Any, response: bool) -> None:
        assert len(data) <= 20
        self.responses.append(response)
        await super().write_gatt_char(characteristic, data, response)


@asynccontextmanager
async def dialer(bench: AirBench, client: type[VirtualClient]) -> AsyncIterator[BleTransport]:
    acceptor = bench.ble("b")
    acceptor.announce(badge())
    transport = BleTransport(radio=OddRadio(str(bench.place), client))
    async with acceptor.serving(Peer()), transport.serving(Peer()):
        yield transport


@pytest.mark.parametrize("client", [WithoutAcquire, Reluctant])
async def test_there_is_another_way_or_another_time(bench: AirBench, client: type[VirtualClient]) -> None:
    async with dialer(bench, client) as transport:
        link = await transport.dial(bench.address("b"))
        assert await link.request(b"after all", timeout_ms=WITHIN_MS) == b"after all"
        await link.aclose()


@pytest.mark.parametrize(("client", "says"), [(Deaf, "ATT error"), (Never, "InProgress")])
async def test_what_can_not_be_is_a_lost_link_that_leaves_nothing(
    air: Air, bench: AirBench, client: type[VirtualClient], says: str
) -> None:
    async with dialer(bench, client) as transport:
        with pytest.raises(LinkLost, match=says):
            await transport.dial(bench.address("b"))
        await until(lambda: not air.ether.links(), WITHIN_MS)


async def test_small_packets_carry_all_and_one_in_so_many_is_acknowledged(bench: AirBench) -> None:
    Small.responses = []
    async with dialer(bench, Small) as transport:
        link = await transport.dial(bench.address("b"))
        assert await link.request(bytes(4_096), timeout_ms=WITHIN_MS) == bytes(4_096)
        await link.aclose()
    said = Small.responses
    assert len(said) > 240
    assert [number for number, response in enumerate(said, 1) if response] == list(
        range(ACKNOWLEDGED_EVERY, len(said) + 1, ACKNOWLEDGED_EVERY)
    )
    assert ACKNOWLEDGED_EVERY * 4 <= MAX_WRITES


class Stuck(VirtualClient):
    """Connects, and then never comes to an end with one peer."""

    stuck_at = ""

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **kwargs: Any
    ) -> None:
        if self.address == Stuck.stuck_at:
            await asyncio.get_running_loop().create_future()
        await super().start_notify(characteristic, callback, **kwargs)


async def test_who_is_not_there_keeps_nobody_waiting(bench: AirBench) -> None:
    async with dialer(bench, VirtualClient) as transport:
        absent = [asyncio.create_task(transport.dial(bench.address(name))) for name in ("x", "y", "z")]
        await asyncio.sleep(0)
        async with asyncio.timeout(WITHIN_MS / 1000):
            link = await transport.dial(bench.address("b"))
            assert await link.request(b"at once", timeout_ms=WITHIN_MS) == b"at once"
        await link.aclose()
        for task in absent:
            task.cancel()
        await asyncio.gather(*absent, return_exceptions=True)


async def test_who_answers_half_of_it_makes_room(air: Air, bench: AirBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(central, "ATTEMPT_MS", 1_000)
    monkeypatch.setattr(Stuck, "stuck_at", bench.address("slow"))
    slow = bench.ble("slow")
    slow.announce(badge())
    async with dialer(bench, Stuck) as transport, slow.serving(Peer()):
        half = asyncio.create_task(transport.dial(bench.address("slow")))
        await until(lambda: len(air.ether.links()) == 1, WITHIN_MS)
        link = await transport.dial(bench.address("b"))
        assert await link.request(b"after it", timeout_ms=WITHIN_MS) == b"after it"
        with pytest.raises(LinkLost, match="1000 ms"):
            await half
        assert len(air.ether.links()) == 1
        await link.aclose()


async def test_a_dial_that_is_given_up_leaves_nothing(air: Air, bench: AirBench) -> None:
    transport, acceptor = bench.ble("a"), bench.ble("b")
    async with transport.serving(Peer()), acceptor.serving(Peer()):
        for patience_ms in (10, 50, 100):
            tasks = asyncio.all_tasks()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(patience_ms / 1000):
                    await transport.dial(bench.address("b"))
            await until(lambda tasks=tasks: asyncio.all_tasks() <= tasks, WITHIN_MS)  # type: ignore[misc]
        acceptor.announce(badge())
        link = await transport.dial(bench.address("b"))
        assert await link.request(b"now", timeout_ms=WITHIN_MS) == b"now"
        await link.aclose()
        await until(lambda: not air.ether.links(), WITHIN_MS)


@pytest.mark.parametrize("after_ms", range(0, 200, 20))
async def test_a_dial_may_be_given_up_at_any_moment(air: Air, bench: AirBench, after_ms: int) -> None:
    transport, acceptor = bench.ble("a"), bench.ble("b")
    acceptor.announce(badge())
    async with transport.serving(Peer()), acceptor.serving(Peer()):
        dialling = asyncio.create_task(transport.dial(bench.address("b")))
        await asyncio.wait({dialling}, timeout=after_ms / 1000)
        dialling.cancel()
        done = await asyncio.gather(dialling, return_exceptions=True)
        if not isinstance(done[0], BaseException):
            await done[0].aclose()
        await until(lambda: not air.ether.links(), WITHIN_MS)
        link = await transport.dial(bench.address("b"))
        assert await link.request(b"now", timeout_ms=WITHIN_MS) == b"now"
        await link.aclose()


class SlowToScanOn(Ear):
    """Its radio takes for ever to scan again after a connection."""

    @asynccontextmanager
    async def hushed(self) -> AsyncIterator[None]:
        async with super().hushed():
            yield
        await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("deadline", [True, False])
async def test_a_dial_given_up_when_it_was_as_good_as_done_leaves_nothing(
    air: Air, bench: AirBench, deadline: bool
) -> None:
    radio, acceptor = VirtualRadio(str(bench.place)), bench.ble("b")
    acceptor.announce(badge())
    async with acceptor.serving(Peer()), radio.opened(lambda: None):
        ear = SlowToScanOn(radio.scanner)
        centre = Centre(radio, ear, Octets(), lambda _: False)
        connecting = asyncio.create_task(asyncio.wait_for(centre.connect(bench.address("b")), 1 if deadline else None))
        await until(lambda: centre.linked, WITHIN_MS)
        if not deadline:
            connecting.cancel()
        with pytest.raises(TimeoutError if deadline else asyncio.CancelledError):
            await connecting
        assert not centre.linked
        await until(lambda: not air.ether.links(), WITHIN_MS)
        await ear.aclose()


async def test_a_dial_during_a_look_takes_no_longer(bench: AirBench) -> None:
    """The radio tells of a node that stands there once in a scan."""
    transport, acceptor = bench.ble("a"), bench.ble("b")
    acceptor.announce(badge())
    async with transport.serving(Peer()), acceptor.serving(Peer()):
        looking = aiter(transport.discover(window_ms=60_000))
        await anext(looking)
        await asyncio.sleep(0.2)  # it is heard several times more, and told of no more
        async with asyncio.timeout(WITHIN_MS / 1000):
            link = await transport.dial(bench.address("b"))
        await link.aclose()


async def test_of_two_services_that_a_system_remembers_the_newer_is_used(bench: AirBench) -> None:
    """As after a peer's restart: the older one answers nobody."""

    def refuse(*_: object) -> None:
        pytest.fail("wrote to the older service")

    older = Service(
        SERVICE_UUID,
        [
            Characteristic[bytes](
                WRITE_UUID,
                Characteristic.Properties.WRITE_WITHOUT_RESPONSE,
                Characteristic.Permissions.WRITEABLE,
                CharacteristicValue(write=refuse),
            ),
            Characteristic[bytes](NOTIFY_UUID, Characteristic.Properties.NOTIFY, Characteristic.Permissions(0), b""),
        ],
    )
    radio = VirtualRadio(str(bench.place), bench.address("b"))
    dialing = bench.ble("a")
    async with dialing.serving(Peer()), radio.opened(lambda: None):
        radio.device().add_service(older)
        arrived: asyncio.Queue[Central] = asyncio.Queue()
        async with radio.peripheral.serving(arrived.put_nowait):
            await radio.peripheral.advertise(pack_announcement(badge()))
            link = await dialing.dial(bench.address("b"))
            asking = asyncio.create_task(link.request(b"which?", timeout_ms=WITHIN_MS))
            async with asyncio.timeout(WITHIN_MS / 1000):
                central = await arrived.get()
                assert (await central.receive()).endswith(b"which?")
            asking.cancel()
            await link.aclose()
