"""The central's role: look for an address, connect, find our characteristics, subscribe."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from random import random

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError

from transports.ble.ear import Ear
from transports.ble.gatt import ATT_HEADER_BYTES, NOTIFY_UUID, SERVICE_UUID, WRITE_UUID, packet_bytes
from transports.ble.inbox import Inbox
from transports.ble.pipe import FragmentPipe, Octets
from transports.ble.radio import Radio
from transports.errors import LinkLost

MAX_NOTIFICATIONS = 1024
"""Fragments that wait for us: four messages of the largest size in the smallest packets. A peripheral that goes on
regardless loses its link."""

ACKNOWLEDGED_EVERY = 16
"""Every so many fragments the peripheral acknowledges one (docs/decisions/0015): far fewer than it lets wait."""

DISCONNECT_MS = 5_000
"""bluetoothd lets a link be for 2 s before it ends it, and answers only then."""

ATTEMPT_MS = 4_000
"""To connect to a peer that was just heard, and to find our characteristics: 0.02 to 0.6 s measured. Nobody else is
looked for or connected to meanwhile, so a peer that answers half of it may not take longer."""
MAX_ATTEMPTS = 4
"""To connect to a peer that was heard. Two that call one peer at the same moment are both told that they are connected,
and one of them soon after that it is not (0x3E); BlueZ has its own occasions to say that this time it failed."""
PAUSE_MS = 200
"""Before another attempt, at most: a random part of it, so that the two don't call together again."""

_LOG = logging.getLogger(__name__)


class NotOffered(LinkLost):
    """There is a peer, and its program is gone or another one: trying again at once would change nothing."""


class Taken(LinkLost):
    """The peer has the one link that two radios can have."""


class Centre:
    """Makes pipes to addresses. taken: whether the peer there has a link to us already.

    Any number is looked for at once, so that one who is not there keeps nobody waiting; connections are made one at a
    time, as radios do.
    """

    def __init__(self, radio: Radio, ear: Ear, octets: Octets, taken: Callable[[str], bool]) -> None:
        self._radio = radio
        self._ear = ear
        self._octets = octets
        self._taken = taken
        self._turn = asyncio.Lock()
        self._links: set[Inbox] = set()
        self.changed: Callable[[], None] = lambda: None
        """Called when a link came up or ended."""

    @property
    def linked(self) -> bool:
        """Whether any link is up."""
        return bool(self._links)

    async def connect(self, address: str) -> FragmentPipe:
        """Whoever calls sets the deadline; cancelling leaves nothing. Raises LinkLost, LocalTransportError."""
        for _ in range(MAX_ATTEMPTS - 1):
            try:
                return await self._attempt(address)
            except (NotOffered, Taken):
                raise
            except LinkLost as problem:
                _LOG.debug("%s", problem)
            await asyncio.sleep(PAUSE_MS / 1000 * random())  # noqa: S311 - no secret
        return await self._attempt(address)

    def lose(self, why: str) -> None:
        """The radio is gone, and every link with it."""
        for inbox in list(self._links):
            inbox.end(why)

    async def _attempt(self, address: str) -> FragmentPipe:
        if self._taken(address):
            raise Taken(f"{address} is connected to us, and two radios have one link: let it ask us instead")
        device = await self._find(address)
        peer: ConnectedPeer | None = None
        try:
            async with self._turn, self._ear.hushed(), asyncio.timeout(ATTEMPT_MS / 1000):
                peer = await self._connect(address, device)
        except BaseException as problem:
            if peer is not None:
                await peer.aclose()
            if isinstance(problem, TimeoutError):
                raise LinkLost(f"{address} did not let itself be connected to in {ATTEMPT_MS} ms") from None
            raise
        return FragmentPipe(peer, peer.write, self._octets)

    async def _find(self, address: str) -> BLEDevice:
        """Heard in a scan that runs: what the system remembers otherwise may be of an earlier life of the device."""
        found: asyncio.Future[BLEDevice] = asyncio.get_running_loop().create_future()

        def heard(device: BLEDevice, _: AdvertisementData) -> None:
            if device.address.upper() == address and not found.done():
                found.set_result(device)

        async with self._ear.listening(heard):
            return await found

    async def _connect(self, address: str, device: BLEDevice) -> "ConnectedPeer":
        inbox = Inbox(MAX_NOTIFICATIONS, lambda: self._ended(inbox))
        client = self._radio.client(device, lambda _: inbox.end(f"the link to {address} broke"))
        try:
            await client.connect()
            peer = ConnectedPeer(address, client, _characteristic(client, WRITE_UUID), inbox)
            await _subscribe(client, _characteristic(client, NOTIFY_UUID), peer.notified)
        except BaseException as problem:
            inbox.end("the link was closed")
            await _disconnect(client)
            if isinstance(problem, (BleakError, OSError, EOFError, TimeoutError)):
                raise LinkLost(f"{address} can't be connected to: {problem or type(problem).__name__}") from problem
            raise
        if not inbox.lost:
            self._links.add(inbox)
            self.changed()
        return peer

    def _ended(self, inbox: Inbox) -> None:
        self._links.discard(inbox)
        self.changed()


class ConnectedPeer:
    """A peripheral that we are connected to."""

    def __init__(self, address: str, client: BleakClient, said: BleakGATTCharacteristic, inbox: Inbox) -> None:
        self._address = address
        self._client = client
        self._said = said
        self._inbox = inbox
        self._unacknowledged = 0
        self._closed = False

    @property
    def source(self) -> str:
        return self._address

    @property
    def packet_bytes(self) -> int:
        """What a write command carries now: 20 until the two radios agreed on more."""
        return packet_bytes(self._said.max_write_without_response_size + ATT_HEADER_BYTES)

    async def write(self, fragment: bytes) -> None:
        """Most as commands, which the link delivers but nobody acknowledges; every so often one that waits until the
        peer has taken all before it. Raises LinkLost."""
        if self._inbox.lost:
            raise LinkLost(f"the link to {self._address} broke")
        self._unacknowledged = (self._unacknowledged + 1) % ACKNOWLEDGED_EVERY
        try:
            await self._client.write_gatt_char(self._said, fragment, response=self._unacknowledged == 0)
        except (BleakError, OSError, EOFError) as problem:
            raise LinkLost(f"the link to {self._address} broke: {problem or type(problem).__name__}") from problem

    async def receive(self) -> bytes:
        return await self._inbox.get()

    def notified(self, _: BleakGATTCharacteristic, value: bytearray) -> None:
        """bleak's callback."""
        if not self._inbox.put(bytes(value)):
            self._inbox.end(f"{self._address} says more than we can take")

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._inbox.end("the link was closed")
            await _disconnect(self._client)


def _characteristic(client: BleakClient, uuid: str) -> BleakGATTCharacteristic:
    """Looked up inside our service: after a peer's restart the system may remember two of them, of which the one with
    the higher handle is the newer. Raises NotOffered."""
    services = sorted((one for one in client.services if one.uuid == SERVICE_UUID), key=lambda one: one.handle)
    for service in reversed(services):
        characteristic = service.get_characteristic(uuid)
        if characteristic is not None:
            return characteristic
    raise NotOffered(f"{client.address} does not offer our service any more")


async def _subscribe(
    client: BleakClient,
    characteristic: BleakGATTCharacteristic,
    notified: Callable[[BleakGATTCharacteristic, bytearray], None],
) -> None:
    """By AcquireNotify on BlueZ: its socket keeps every notification and their order, where StartNotify's signals may
    run into one another. Where that is refused, by those."""
    try:
        await client.start_notify(characteristic, notified, bluez={"use_start_notify": False})
    except BleakError as problem:
        if not client.is_connected:
            raise
        _LOG.debug("%s: subscribing again the other way after %s", client.address, problem)
        await client.start_notify(characteristic, notified, bluez={"use_start_notify": True})


async def _disconnect(client: BleakClient) -> None:
    """With a deadline, whatever becomes of it; also while we are being cancelled."""
    with contextlib.suppress(BleakError, OSError, EOFError, TimeoutError):
        async with asyncio.timeout(DISCONNECT_MS / 1000):
            await client.disconnect()
