"""bleak's client over a virtual radio: bleak's API in, ATT, GATT, L2CAP and HCI out."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from bleak.args import SizedBuffer
from bleak.assigned_numbers import CharacteristicPropertyName
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError, BleakGATTProtocolError, BleakGATTProtocolErrorCode
from bumble import att, hci
from bumble.core import UUID, BaseBumbleError, ConnectionError
from bumble.device import Connection, Device, Peer
from bumble.gatt import Characteristic
from bumble.gatt_client import CharacteristicProxy

from transports.ble.virtual.operation import operation
from transports.ble.virtual.scanner import COMMAND_MS, text

MTU = 517
"""The largest that is of use: a value of 512 bytes, and two headers (5.4, volume 3, part F, 3.2.9)."""

MAX_UNSENT = 16
"""Data packets that may wait in our host before a write command waits for them."""

_PROPERTIES: dict[Characteristic.Properties, CharacteristicPropertyName] = {
    Characteristic.Properties.READ: "read",
    Characteristic.Properties.WRITE_WITHOUT_RESPONSE: "write-without-response",
    Characteristic.Properties.WRITE: "write",
    Characteristic.Properties.NOTIFY: "notify",
    Characteristic.Properties.INDICATE: "indicate",
}
T = TypeVar("T")


class VirtualClient(BaseBleakClient):
    """radio: bumble's device, open."""

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        *,
        disconnected_callback: Callable[[], None] | None,
        timeout: float,
        radio: Device,
        services: set[str] | None = None,
        **_: Any,
    ) -> None:
        super().__init__(address_or_ble_device, disconnected_callback=disconnected_callback, timeout=timeout)
        self._radio = radio
        self._wanted = [UUID(uuid) for uuid in services or ()]
        self._connection: Connection | None = None
        self._gone = asyncio.Event()
        self._proxies: dict[int, CharacteristicProxy[bytes]] = {}

    @property
    def name(self) -> str:
        return self.address

    @property
    def mtu_size(self) -> int:
        return att.ATT_DEFAULT_MTU if self._connection is None else self._connection.att_mtu

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    async def connect(self, pair: bool, **kwargs: Any) -> None:
        connection = await _connect(self._radio, hci.Address(self.address), self._timeout, self._up)
        peer = Peer(connection)
        await self._run(peer.request_mtu(MTU))
        await self._run(peer.discover_services(self._wanted))
        self.services = await self._discovered(peer)

    async def disconnect(self) -> None:
        connection = self._connection
        if connection is None:
            return
        command = hci.HCI_Disconnect_Command(
            connection_handle=connection.handle, reason=hci.HCI_REMOTE_USER_TERMINATED_CONNECTION_ERROR
        )
        with _translated():
            await operation(self._radio.send_async_command(command))
            await self._gone.wait()

    async def pair(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError

    async def unpair(self) -> None:
        raise NotImplementedError

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        return bytearray(await self._run(self._proxy(characteristic).read_value()))

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        raise NotImplementedError

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        raise NotImplementedError

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool) -> None:
        value = bytes(data)
        if not response and len(value) > self.mtu_size - 3:
            raise BleakError("a write command carries the MTU less 3 bytes at most")
        await self._run(self._proxy(characteristic).write_value(value, with_response=response))
        if not response and self._connection is not None:
            await self._run(has_room(self._radio, self._connection))

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **kwargs: Any
    ) -> None:
        await self._run(self._proxy(characteristic).subscribe(lambda value: callback(bytearray(value))))

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        await self._run(self._proxy(characteristic).unsubscribe())

    def _proxy(self, characteristic: BleakGATTCharacteristic) -> CharacteristicProxy[bytes]:
        try:
            return self._proxies[characteristic.handle]
        except KeyError:
            raise BleakError("not connected") from None

    def _up(self, connection: Connection) -> None:
        """Called at once: the next event may be its end already."""
        self._connection = connection
        self._gone.clear()
        connection.once("disconnection", self._lost)

    def _lost(self, _: int) -> None:
        self._connection = None
        self._proxies.clear()
        self._gone.set()
        if self._disconnected_callback is not None:
            self._disconnected_callback()

    async def _discovered(self, peer: Peer) -> BleakGATTServiceCollection:
        collection = BleakGATTServiceCollection()
        for found in peer.services:
            service = BleakGATTService(found, found.handle, text(found.uuid))
            collection.add_service(service)
            for proxy in await self._run(found.discover_characteristics()):
                self._proxies[proxy.handle] = proxy
                await self._run(proxy.discover_descriptors())
                names = [name for bit, name in _PROPERTIES.items() if proxy.properties & bit]
                collection.add_characteristic(
                    BleakGATTCharacteristic(
                        proxy, proxy.handle, text(proxy.uuid), names, lambda: self.mtu_size - 3, service
                    )
                )
        return collection

    async def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """One operation of the host's, ended by the end of the link; bumble would wait for half a minute, or cancel
        whoever waits."""
        if self._connection is None:
            work.close()
            raise BleakError("not connected")
        running, gone = asyncio.create_task(work), asyncio.create_task(self._gone.wait())
        try:
            await asyncio.wait({running, gone}, return_when=asyncio.FIRST_COMPLETED)
            if self._gone.is_set() or running.cancelled():
                raise BleakError("the link broke")
            with _translated():
                return running.result()
        finally:
            for task in (running, gone):
                task.cancel()
            await asyncio.gather(running, gone, return_exceptions=True)


async def has_room(radio: Device, connection: Connection) -> None:
    """Wait while too many data packets wait."""
    queue = radio.host.get_data_packet_queue(connection.handle)
    if queue is not None and queue.pending > MAX_UNSENT:
        with suppress(ValueError):  # nothing of this link's waits
            await queue.drain(connection.handle)


async def _connect(
    radio: Device, address: hci.Address, timeout_s: float, up: Callable[[Connection], None]
) -> Connection:
    """bumble's own `connect` would take any link that comes up meanwhile for ours."""
    done: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()

    def connected(connection: Connection) -> None:
        if connection.role == hci.Role.CENTRAL and connection.peer_address == address and not done.done():
            done.set_result(connection)
            up(connection)

    def failed(error: Exception) -> None:
        if not done.done():
            done.set_exception(BleakError(f"{address} did not take our connection: {error}"))

    radio.on("connection", connected)
    radio.on("connection_failure", failed)
    try:
        with _translated():
            await operation(radio.send_async_command(_command(address)))
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(done)
    except BaseException:
        await _give_up(radio, done)
        raise
    finally:
        radio.remove_listener("connection", connected)
        radio.remove_listener("connection_failure", failed)


async def _give_up(radio: Device, done: asyncio.Future[Connection]) -> None:
    """The controller's attempt ends in an event too: a failure, or a link that came up just before."""
    try:
        async with asyncio.timeout(COMMAND_MS / 1000):
            if not done.done():
                await operation(radio.send_sync_command(hci.HCI_LE_Create_Connection_Cancel_Command()))
            connection = await done
            await operation(connection.disconnect())
    except (BaseBumbleError, BleakError, TimeoutError):
        pass
    done.cancel()


def _command(address: hci.Address) -> hci.HCI_LE_Create_Connection_Command:
    """Intervals of 7.5 to 15 ms in steps of 1.25, a supervision of 2 s in steps of 10 ms."""
    return hci.HCI_LE_Create_Connection_Command(
        le_scan_interval=96,
        le_scan_window=96,
        initiator_filter_policy=0,
        peer_address_type=address.address_type,
        peer_address=address,
        own_address_type=hci.OwnAddressType.RANDOM,
        connection_interval_min=6,
        connection_interval_max=12,
        max_latency=0,
        supervision_timeout=200,
        min_ce_length=0,
        max_ce_length=0,
    )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except att.ATT_Error as problem:
        raise BleakGATTProtocolError(BleakGATTProtocolErrorCode(problem.error_code)) from problem
    except (BaseBumbleError, ConnectionError) as problem:
        raise BleakError(str(problem)) from problem
    except TimeoutError as problem:
        raise BleakError("no answer in time") from problem
