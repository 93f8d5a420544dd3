"""Our advertisement at one bluetoothd, and that it stays in the air."""

import asyncio
import contextlib
import logging
from typing import Any

from transports.ble.bluez.application import Interfaces, advertisement_object
from transports.ble.bluez.bus import Bus, Refused
from transports.ble.bluez.names import ADVERTISEMENT_PATH, ADVERTISING_MANAGER, NOT_PERMITTED
from transports.ble.bluez.obstacles import Obstacle, no_room

AGAIN_MS = 30_000
"""How soon a controller that does not advertise while it is connected is asked again, unless a link ends before."""

_LOG = logging.getLogger(__name__)


class Advertising:
    """Of one adapter: its object's path, and its name for people.

    The kernel stops an advertisement when a device connects, and starts it again only when a link ends (its
    hci_le_ext_adv_term_evt and hci_disconn_complete_evt). So it is registered anew as soon as somebody connected:
    otherwise a single central would take us off the air for everybody else.
    """

    def __init__(self, bus: Bus, path: str, name: str) -> None:
        self._bus = bus
        self._path = path
        self._name = name
        self._wanted: bytes | None = None
        self._shown: Interfaces | None = None
        self._perhaps_shown = False
        self._turn = asyncio.Lock()
        self._stopped = False
        self._link_ended = asyncio.Event()
        self._renewing: asyncio.Task[None] | None = None

    @property
    def interfaces(self) -> Interfaces:
        """What bluetoothd reads of it."""
        return self._shown or {}

    async def show(self, data: bytes | None) -> None:
        """Advertise this in place of what was shown before; None is nothing. Raises Obstacle, and shows nothing then.

        The old one goes first: two identifiers side by side would tell that they are the same node's, and some
        adapters have room for one alone.
        """
        async with self._turn:
            self._wanted = None
            await self._replace(data)
            self._wanted = data
            self._stopped = False

    def connected(self) -> None:
        """A device connected to us, or we to it: our advertisement stopped."""
        self._stopped = True
        if self._wanted is not None and (self._renewing is None or self._renewing.done()):
            self._renewing = asyncio.create_task(self._renew())

    def disconnected(self) -> None:
        """A link ended: what was refused meanwhile may be granted now."""
        self._link_ended.set()

    def released(self) -> bool:
        """bluetoothd took it down. Whether that was none of our doing."""
        ours, self._shown = self._shown is not None, None
        return ours

    async def aclose(self) -> None:
        """Leave bluetoothd's part as it is; no task is left. Idempotent."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)

    async def _renew(self) -> None:
        told = False
        while self._stopped:
            async with self._turn:
                if self._wanted is None:
                    return
                self._stopped = False
                self._link_ended.clear()
                try:
                    await self._replace(self._wanted)
                except Obstacle as problem:
                    self._stopped = True
                    if self._bus.ended.is_set():
                        return
                    _LOG.log(logging.DEBUG if told else logging.WARNING, "connected, and not to be seen: %s", problem)
                    told = True
            if self._stopped:
                await self._a_while()

    async def _a_while(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(AGAIN_MS / 1000):
                await self._link_ended.wait()

    async def _replace(self, data: bytes | None) -> None:
        self._shown = None
        if self._perhaps_shown:
            with contextlib.suppress(Refused):  # it was gone already
                await self._call("UnregisterAdvertisement", "o", [ADVERTISEMENT_PATH])
            self._perhaps_shown = False
        if data is None:
            return
        self._shown, self._perhaps_shown = advertisement_object(data), True
        try:
            await self._call("RegisterAdvertisement", "oa{sv}", [ADVERTISEMENT_PATH, {}])
        except BaseException as problem:
            self._shown = None
            if isinstance(problem, Refused) and problem.error == NOT_PERMITTED:
                raise no_room(self._name) from None
            raise

    async def _call(self, member: str, signature: str, body: list[Any]) -> None:
        await self._bus.call(self._path, ADVERTISING_MANAGER, member, signature, body)
