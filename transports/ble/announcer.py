"""What we show, kept up with what the node wants shown."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import NoReturn

from transports.ble.peripheral import Peripheral
from transports.errors import LocalTransportError
from transports.identifier import pack_announcement
from transports.interface import Announcement

OWN_ANNOUNCEMENTS_KEPT = 4
"""A radio may hear another of ours, and later than it was shown."""

AGAIN_MS = 30_000
"""How soon a radio that refused is asked again."""

_LOG = logging.getLogger(__name__)


class Announcer:
    """linked: whether any link is up. Then a new identifier waits for its end: our address stays the same for as long,
    so that who listens would learn that the two identifiers are one node. Silence, and other bits, don't wait."""

    def __init__(self, peripheral: Peripheral, linked: Callable[[], bool]) -> None:
        self._peripheral = peripheral
        self._linked = linked
        self._wanted: Announcement | None = None
        self._shown: Announcement | None = None
        self._own: deque[bytes] = deque(maxlen=OWN_ANNOUNCEMENTS_KEPT)
        self._news = asyncio.Event()

    def want(self, announcement: Announcement | None) -> None:
        """Never waits."""
        self._wanted = announcement
        self._news.set()

    def links_changed(self) -> None:
        """Perhaps what waited may be shown now."""
        self._news.set()

    def is_ours(self, announcement: Announcement) -> bool:
        """Whether we showed that identifier a while ago."""
        return announcement.identifier in self._own

    async def run(self) -> NoReturn:
        """Inside the peripheral's `serving`, which begins silent."""
        self._shown, failed = None, False
        while True:
            self._news.clear()
            if self._wanted != self._shown and not self._waits():
                failed = not await self._show(self._wanted, quietly=failed)
            try:
                async with asyncio.timeout(AGAIN_MS / 1000 if failed else None):
                    await self._news.wait()
            except TimeoutError:
                pass

    def _waits(self) -> bool:
        wanted, shown = self._wanted, self._shown
        if wanted is None or shown is None or not self._linked():
            return False
        return (wanted.role_bits, wanted.service_bits) == (shown.role_bits, shown.service_bits)

    async def _show(self, announcement: Announcement | None, *, quietly: bool) -> bool:
        if announcement is not None:
            self._own.append(announcement.identifier)
        try:
            await self._peripheral.advertise(None if announcement is None else pack_announcement(announcement))
        except LocalTransportError as problem:
            if not quietly:
                _LOG.warning("we can't be seen over Bluetooth: %s", problem)
            return False
        self._shown = announcement
        return True
