"""A node of its own: serves, and answers every frame with itself until it is killed.

python -m tests.transports.ble.echo ADAPTER | PLACE ADDRESS
"""

import asyncio
import sys

from tests.contract.transport_contract import Peer, badge
from transports.ble.settings import BleSettings
from transports.ble.transport import BleTransport


async def _main(where: str, address: str | None = None) -> None:
    settings = BleSettings(adapter=where) if address is None else BleSettings(air=where, address=address)
    transport = BleTransport(settings)
    transport.announce(badge())
    async with transport.serving(Peer()):
        print("serving", flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
