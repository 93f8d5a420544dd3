"""One life of an in-memory transport: what runs between entering and leaving `MemoryTransport.serving`.

It does what a real bearer does above lost packets: numbers exchanges, repeats what was not answered, acknowledges
pushes where asked, and drops what nobody waits for.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress

from transports.errors import LinkLost, LocalTransportError
from transports.identifier import pack_announcement, unpack_announcement
from transports.interface import Announcement, Handler, Sighting
from transports.memory_packets import MAX_BACKOFF, Kind, Packet, check_size
from transports.memory_pushes import MemoryPusher, Subscription

MAX_WAITING = 1_024
"""Requests under way in one transport: a coordinator that asks each of its members once."""

MAX_ANSWERING = 1_024
"""Handler calls at once; frames above it are lost, as with a full socket buffer."""

MAX_SUBSCRIBERS = 256
"""Dialers that we push to at once; further ones meet silence."""

Carry = Callable[[str | None, Packet], None]
"""Puts a packet into the air, to one address or to all."""


class Endpoint:
    """The state of one life. `repeat_s`: how long to wait before the first repetition."""

    def __init__(self, bearer: str, address: str, handler: Handler, carry: Carry, *, repeat_s: float) -> None:
        self.bearer = bearer
        self.address = address
        self.announcement: Announcement | None = None
        self.repeat_s = repeat_s
        self.carry = carry
        self.waiting: dict[int, asyncio.Future[bytes | None]] = {}
        self.subscriptions: dict[int, Subscription] = {}
        self.looking: dict[int, asyncio.Queue[Sighting]] = {}
        self.pushers: dict[tuple[str, int], MemoryPusher] = {}
        self.alive = True
        self._handler = handler
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    def send(self, target: str | None, kind: Kind, exchange: int, body: bytes = b"", sequence: int = 0) -> None:
        """One packet, which may get lost. Raises FrameTooLarge."""
        check_size(body)
        self.carry(target, Packet(kind, self.address, exchange, body, sequence))

    def receive(self, packet: Packet) -> None:
        """A packet arrived."""
        _STEPS[packet.kind](self, packet)

    async def stop(self) -> None:
        """End all that waits on this life or runs in it. Raises what the handler raised, if it did: a bug is loud."""
        self.alive = False
        for pusher in list(self.pushers.values()):
            pusher.close()
            pusher.gone()
        for future in self.waiting.values():
            _settle(future, None)
        for subscription in self.subscriptions.values():
            subscription.end()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._failure is not None:
            raise self._failure

    async def exchange(self, target: str, kind: Kind, exchange: int, frame: bytes, timeout_ms: int) -> bytes:
        """Send until it is answered. Raises LinkLost."""
        if len(self.waiting) >= MAX_WAITING:
            raise LocalTransportError(f"{MAX_WAITING} requests are under way already")
        loop = asyncio.get_running_loop()
        future = self.waiting[exchange] = loop.create_future()
        wait_s = self.repeat_s
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                while not future.done():
                    self.send(target, kind, exchange, frame)
                    await asyncio.wait({future}, timeout=wait_s)
                    wait_s = min(2 * wait_s, MAX_BACKOFF * self.repeat_s)
        except TimeoutError:
            raise LinkLost(f"{target} did not answer within {timeout_ms} ms") from None
        finally:
            del self.waiting[exchange]
        answer: bytes | None = future.result()
        if answer is None:
            raise LinkLost(f"the link to {target} was closed")
        return answer

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and self._failure is None:
            self._failure = task.exception()

    def _on_request(self, packet: Packet) -> None:
        if len(self._tasks) < MAX_ANSWERING:
            self._spawn(self._answer(packet))

    async def _answer(self, packet: Packet) -> None:
        answer = await self._handler.answer(packet.body, packet.sender)
        if answer is not None:
            self.send(packet.sender, Kind.ANSWER, packet.exchange, answer)

    def _on_subscribe(self, packet: Packet) -> None:
        pusher = self.pushers.get((packet.sender, packet.exchange))
        if pusher is not None:  # a repetition: the same subscription, not another one
            pusher.repeat_opening()
        elif len(self.pushers) < MAX_SUBSCRIBERS:
            pusher = self.pushers[packet.sender, packet.exchange] = self._pusher(packet)
            self._spawn(self._open(packet, pusher))

    def _pusher(self, packet: Packet) -> MemoryPusher:
        dialer, exchange = packet.sender, packet.exchange

        def send(kind: Kind, frame: bytes, sequence: int) -> None:
            self.send(dialer, kind, exchange, frame, sequence)

        def forget() -> None:
            self.pushers.pop((dialer, exchange), None)

        return MemoryPusher(send, forget, repeat_s=self.repeat_s)

    async def _open(self, packet: Packet, pusher: MemoryPusher) -> None:
        opening = await self._handler.subscribed(packet.body, packet.sender, pusher)
        if opening is None:
            pusher.gone()
        else:
            pusher.open(opening)

    def _on_answer(self, packet: Packet) -> None:
        future = self.waiting.get(packet.exchange)
        if future is not None:
            _settle(future, packet.body)

    def _on_push(self, packet: Packet) -> None:
        subscription = self.subscriptions.get(packet.exchange)
        if subscription is None:
            self.send(packet.sender, Kind.LEAVE, packet.exchange)
            return
        subscription.take(packet.body, packet.sequence)
        if packet.kind is Kind.CONFIRMED_PUSH:
            self.send(packet.sender, Kind.ACKNOWLEDGEMENT, packet.exchange, sequence=packet.sequence)

    def _on_end(self, packet: Packet) -> None:
        subscription = self.subscriptions.get(packet.exchange)
        if subscription is not None:
            subscription.end()
        self.send(packet.sender, Kind.LEAVE, packet.exchange)

    def _on_acknowledgement(self, packet: Packet) -> None:
        pusher = self.pushers.get((packet.sender, packet.exchange))
        if pusher is not None:
            pusher.acknowledged(packet.sequence)

    def _on_leave(self, packet: Packet) -> None:
        pusher = self.pushers.get((packet.sender, packet.exchange))
        if pusher is not None:
            pusher.gone()

    def _on_look(self, packet: Packet) -> None:
        if self.announcement is not None:
            self.send(packet.sender, Kind.SEEN, packet.exchange, pack_announcement(self.announcement))

    def _on_seen(self, packet: Packet) -> None:
        queue = self.looking.get(packet.exchange)
        if queue is not None:
            heard_at_ms = int(asyncio.get_running_loop().time() * 1000)
            with suppress(asyncio.QueueFull):  # it has MAX_SIGHTINGS: who looks will stop there
                queue.put_nowait(Sighting(self.bearer, packet.sender, unpack_announcement(packet.body), heard_at_ms))


_STEPS: Mapping[Kind, Callable[[Endpoint, Packet], None]] = {
    Kind.REQUEST: Endpoint._on_request,
    Kind.ANSWER: Endpoint._on_answer,
    Kind.SUBSCRIBE: Endpoint._on_subscribe,
    Kind.OPENING: Endpoint._on_answer,
    Kind.PUSH: Endpoint._on_push,
    Kind.CONFIRMED_PUSH: Endpoint._on_push,
    Kind.ACKNOWLEDGEMENT: Endpoint._on_acknowledgement,
    Kind.END: Endpoint._on_end,
    Kind.LEAVE: Endpoint._on_leave,
    Kind.LOOK: Endpoint._on_look,
    Kind.SEEN: Endpoint._on_seen,
}


class MemoryLink:
    """The dialer's end of a raw link."""

    def __init__(self, endpoint: Endpoint, address: str, numbers: Callable[[], int]) -> None:
        self._endpoint = endpoint
        self._address = address
        self._numbers = numbers
        self._open: set[int] = set()
        self._closed = False

    @property
    def bearer(self) -> str:
        return self._endpoint.bearer

    @property
    def address(self) -> str:
        return self._address

    async def request(self, frame: bytes, *, timeout_ms: int) -> bytes:
        exchange = self._begin(frame)
        try:
            return await self._endpoint.exchange(self._address, Kind.REQUEST, exchange, frame, timeout_ms)
        finally:
            self._open.discard(exchange)

    @asynccontextmanager
    async def subscribe(self, frame: bytes, *, timeout_ms: int) -> AsyncGenerator[Subscription]:
        exchange = self._begin(frame)
        endpoint = self._endpoint
        subscription = endpoint.subscriptions[exchange] = Subscription()
        try:
            opening = await endpoint.exchange(self._address, Kind.SUBSCRIBE, exchange, frame, timeout_ms)
            subscription.open(opening)
            yield subscription
        finally:
            self._open.discard(exchange)
            subscription.end()
            del endpoint.subscriptions[exchange]
            if endpoint.alive:
                endpoint.send(self._address, Kind.LEAVE, exchange)

    async def aclose(self) -> None:
        self._closed = True
        for exchange in self._open:
            if exchange in self._endpoint.waiting:
                _settle(self._endpoint.waiting[exchange], None)
            if exchange in self._endpoint.subscriptions:
                self._endpoint.subscriptions[exchange].end()

    def _begin(self, frame: bytes) -> int:
        check_size(frame)
        if self._closed or not self._endpoint.alive:
            raise LinkLost(f"the link to {self._address} is closed")
        exchange = self._numbers()
        self._open.add(exchange)
        return exchange


def _settle(future: asyncio.Future[bytes | None], answer: bytes | None) -> None:
    if not future.done():
        future.set_result(answer)
