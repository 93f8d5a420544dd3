"""The seam to a radio's peripheral role: being seen, being connected to, hearing writes and notifying.

bleak gives us the central's role only. `transports.ble.bluez` is the peripheral on Linux, `transports.ble.virtual` the
one without a radio. Both speak of fragments, of which `transports.ble.pipe` makes messages.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

MAX_CENTRALS = 16
"""Links that one peripheral holds: more than controllers do (often 7 to 10). Those beyond are disconnected."""

MAX_WRITES = 256
"""Fragments of one central that wait for us: a message of the largest size in the smallest packets. A central that
writes on regardless is disconnected: a fragment dropped in silence would only look like a message lost."""


@runtime_checkable
class Central(Protocol):
    """Another node that connected to us and subscribed to our notifications; until it disconnects."""

    @property
    def source(self) -> str:
        """Who it is, as the radio sees it (its address, which may be a private one)."""
        ...

    @property
    def packet_bytes(self) -> int:
        """The largest fragment that one notification carries at present; see `transports.ble.gatt`."""
        ...

    async def notify(self, fragment: bytes) -> None:
        """Hand one fragment of at most `packet_bytes` over to the radio, to this central alone; waits while there is
        no room. One call at a time. Raises LinkLost."""
        ...

    async def receive(self) -> bytes:
        """The next fragment it wrote, in the order written. One call at a time. Raises LinkLost once it is gone (after
        what it wrote before was received, or at once: as the radio likes)."""
        ...

    async def aclose(self) -> None:
        """Disconnect it; idempotent. A waiting `receive` or `notify` then raises LinkLost."""
        ...


Arrived = Callable[[Central], None]


@runtime_checkable
class Peripheral(Protocol):
    """The peripheral's role of one adapter."""

    def serving(self, arrived: Arrived) -> AbstractAsyncContextManager[None]:
        """Offer our GATT service and accept connections; on leaving nothing of it stays, nobody is connected.

        `arrived` is called in the event loop with each central that subscribed, before anything it writes after that is
        lost; it does not block. A central that connects again is a new one. Raises LocalTransportError when the radio
        can't do it, saying what to do. May be entered again after it was left.
        """
        ...

    async def advertise(self, data: bytes | None) -> None:
        """Show our service and these bytes of manufacturer data (company `transports.ble.advertisement.COMPANY_ID`)
        from now on, connectable, also while centrals are connected where the controller can; None is silence.

        Replaces what was shown before. Only inside `serving`, which begins silent. One call at a time. Raises
        LocalTransportError; what was shown before then may or may not be shown still, and calling again is safe.
        """
        ...
