"""A link over CoAP: questions by POST, pushes by an observation of FETCH (docs/protocol.md, Bearer)."""

import asyncio
import os
from typing import Any

from aiocoap.error import Error as CoapError
from aiocoap.message import Message
from aiocoap.numbers.codes import Code

from examples.second_implementation.entries import Session
from examples.second_implementation.frames import UNREADABLE, Item, Sealed, read_frame, write_frame
from examples.second_implementation.keys import Identity, ProtocolError, Unheard
from examples.second_implementation.link import Dial, Link
from examples.second_implementation.messages import SUBSCRIBE

QUESTION_S = 10.0
PUSHES_MAX = 64
"""Pushes wait this long for our next look; what overflows is told again."""


def _message(code: Code, **options: Any) -> Any:
    make: Any = Message
    return make(code=code, **options)


class Channel:
    """One provider's address, and the link to it once there is one."""

    def __init__(self, coap: Any, address: str, identity: Identity) -> None:
        self._coap, self._address, self._identity = coap, address, identity
        self._dial = Dial(identity, 8 + int.from_bytes(os.urandom(2), "big") % 16_000)
        self._acceptor = 0
        self._link: Link | None = None
        self._pushed: asyncio.Queue[bytes] = asyncio.Queue(PUSHES_MAX)
        self._subscription: Any = None
        self._listening: asyncio.Task[None] | None = None
        self.session = Session(b"", b"", identity.public, b"")

    async def greet(self) -> bytes:
        """The first exchange of XX; whom we speak to, by its own word until the first record opens."""
        self.session.node, self._acceptor = self._dial.second(await self._post(self._dial.first()))
        return self.session.node

    async def open(self, *items: Item) -> list[Item]:
        """The second exchange, with our first frame; the provider's first."""
        message, self._link = self._dial.third(self.session.node, self._acceptor, write_frame(*items))
        return self._read(await self._post(message))

    async def ask(self, *items: Item) -> list[Item]:
        """Say something, and hear the answer. Raises Unheard where that is to be done again."""
        return self._read(await self._post(self._opened().seal(write_frame(*items))))

    async def subscribe(self) -> list[Item]:
        """Ask for pushes, in place of an earlier subscription; the first answer."""
        self._unsubscribe()
        payload = self._opened().seal(write_frame(Sealed(SUBSCRIBE, {"status": True})))
        message = _message(Code.FETCH, uri=self._address, payload=payload, observe=0)
        self._subscription = self._coap.request(message)
        answer = await self._answer(self._subscription.response)
        self._listening = asyncio.create_task(self._listen(self._subscription.observation))
        return self._read(answer)

    async def _listen(self, observation: Any) -> None:
        """Until the subscription ends. The newest push is enough: it says all that was not heard."""
        try:
            async for message in observation:
                if not self._pushed.full():
                    self._pushed.put_nowait(bytes(message.payload))
        except CoapError:
            return

    def pushes(self) -> list[Item]:
        """All that was pushed since the last look; a push that does not hold is as one that got lost."""
        items: list[Item] = []
        while not self._pushed.empty():
            try:
                items += self._read(self._pushed.get_nowait())
            except ProtocolError:
                continue
        return items

    async def _post(self, payload: bytes) -> bytes:
        message = _message(Code.POST, uri=self._address, payload=payload)
        return await self._answer(self._coap.request(message).response)

    async def _answer(self, response: Any) -> bytes:
        try:
            async with asyncio.timeout(QUESTION_S):
                answer = await response
        except (TimeoutError, CoapError) as error:
            raise Unheard(f"The provider is silent: {error!r}") from error
        if not answer.code.is_successful():
            raise ProtocolError(f"The provider answers {answer.code}.")
        return bytes(answer.payload)

    def _read(self, record: bytes) -> list[Item]:
        frame = self._opened().unseal(record)
        if frame == UNREADABLE:
            raise Unheard("The provider could not read our frame.")
        return read_frame(frame, self.session)

    def _opened(self) -> Link:
        if self._link is None:
            raise ProtocolError("There is no link yet.")
        return self._link

    def _unsubscribe(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            self._subscription.observation.cancel()
            self._listening = None

    async def hang_up(self) -> None:
        """End the subscription and let go of the socket."""
        self._unsubscribe()
        await self._coap.shutdown()
