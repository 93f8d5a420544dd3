"""An acceptor's pipe whose dialer is played by hand."""

import asyncio

from tests.contract.transport_contract import Peer
from tests.transports.duplex.pipes import Cord
from transports.duplex.message import Message, decode
from transports.duplex.serving import serve

WITHIN_MS = 2_000


class Served:
    """A pipe that is served. `peer` is the handler, `cord` the dialer's end."""

    def __init__(self) -> None:
        here = Cord("somebody")
        self.cord, self.peer = here.other, Peer()
        self.serving = asyncio.create_task(serve(here, self.peer))

    async def say(self, *messages: Message) -> None:
        for message in messages:
            await self.cord.send(message.encode())

    async def heard(self) -> Message:
        async with asyncio.timeout(WITHIN_MS / 1000):
            return decode(await self.cord.receive(), from_dialer=False)
