"""Nodes in a virtual air, which is in the same process where nothing else is said."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

from tests.contract.transport_contract import badge
from transports.ble.settings import BleSettings
from transports.ble.transport import BleTransport
from transports.ble.virtual.air import Air
from transports.ble.virtual.streams import Place
from transports.interface import Transport


class AirBench:
    """A `Bench` of the contract. Nodes announce themselves, as a node that may be dialled does."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def settings(self, name: str) -> BleSettings:
        return BleSettings(air=str(self.place), address=self.address(name))

    def ble(self, name: str) -> BleTransport:
        return BleTransport(self.settings(name))

    def transport(self, name: str) -> Transport:
        transport = self.ble(name)
        transport.announce(badge())
        return transport

    def address(self, name: str) -> str:
        octets = sha256(name.encode()).digest()[:5]
        return ":".join(["F0", *(f"{octet:02X}" for octet in octets)])


@asynccontextmanager
async def in_the_air(air: Air) -> AsyncIterator[AirBench]:
    """A bench at an air of this process."""
    async with air.listening(Place(host="127.0.0.1")) as opened:
        yield AirBench(opened.nodes)
