"""One life of an in-memory transport: what runs between entering and leaving `MemoryTransport.serving`.

It does what a real bearer does above lost packets: numbers exchanges, repeats what was not answered, acknowledges
pushes where asked, and drops what nobody waits for.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto

from transports.errors import FrameTooLarge, LinkLost, LocalTransportError
from transports.identifier import pack_announcement, unpack_announcement
from transports.interface import MAX_FRAME_BYTES, Announcement, Handler, Sighting

BEARER = "memory"

MAX_WAITING = 1_024
"""Requests under way in one transport: a coordinator that asks each of its members once."""

MAX_ANSWERING = 1_024
"""Handler calls at once; frames above it are lost, as with a full socket buffer."""

MAX_SUBSCRIBERS = 256
"""Dialers that we push to at once; further ones meet silence."""

MAX_TRIES = 8
"""Repetitions of an unconfirmed push before the dialer counts as gone: at one packet in five lost, one in 4,000."""

MAX_BACKOFF = 8
"""The wait before a repetition doubles up to so many times the first one."""


class Kind(Enum):
    """What a packet is."""

    REQUEST = auto()
    ANSWER = auto()
    SUBSCRIBE = auto()
    OPENING = auto()
    PUSH = auto()
    CONFIRMED_PUSH = auto()
    ACKNOWLEDGEMENT = auto()
    END = auto()
    """The acceptor pushes no more."""
    LEAVE = auto()
    """The dialer listens no more."""
    LOOK = auto()
    SEEN = auto()


@dataclass(frozen=True, slots=True)
class Packet:
    """exchange: unique in the network, chosen by the dialer; sequence: of a push within its subscription."""

    kind: Kind
    sender: str
    exchange: int
    body: bytes = b""
    sequence: int = 0


Carry = Callable[[str | None, Packet], None]
"""Puts a packet into the air, to one address or to all."""


class Endpoint:
    """The state of one life. `repeat_s`: how long to wait before the first repetition."""

    def __init__(self, address: str, handler: Handler, carry: Carry, *, repeat_s: float) -> None:
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
            pusher = MemoryPusher(self, packet.sender, packet.exchange)
            self.pushers[packet.sender, packet.exchange] = pusher
            self._spawn(self._open(packet, pusher))

    async def _open(self, packet: Packet, pusher: "MemoryPusher") -> None:
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
                queue.put_nowait(Sighting(BEARER, packet.sender, unpack_announcement(packet.body), heard_at_ms))


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


class Subscription:
    """The dialer's iterator: the opening answer, then the newest push not yet taken."""

    def __init__(self) -> None:
        self._opening: bytes | None = None
        self._newest: bytes | None = None
        self._sequence = 0
        self._ended = False
        self._news = asyncio.Event()

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> bytes:
        while self._opening is None and self._newest is None:
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        if self._opening is not None:
            frame, self._opening = self._opening, None
            return frame
        newest, self._newest = self._newest, None
        return newest or b""

    def open(self, opening: bytes) -> None:
        self._opening = opening

    def take(self, frame: bytes, sequence: int) -> None:
        """A push arrived; one that was overtaken by a newer state is of no use."""
        if sequence > self._sequence and not self._ended:
            self._sequence, self._newest = sequence, frame
            self._news.set()

    def end(self) -> None:
        self._ended = True
        self._news.set()


class MemoryPusher:
    """The acceptor's end of one subscription."""

    def __init__(self, endpoint: Endpoint, dialer: str, exchange: int) -> None:
        self._endpoint = endpoint
        self._dialer = dialer
        self._exchange = exchange
        self._opening: bytes | None = None
        self._newest = b""
        self._sequence = 0
        self._to_confirm = 0
        self._tries = 0
        self._timer: asyncio.TimerHandle | None = None
        self._ending = False
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def open(self, opening: bytes) -> None:
        """The handler took the subscription."""
        self._opening = opening
        self.repeat_opening()

    def repeat_opening(self) -> None:
        if self._opening is not None:
            self._endpoint.send(self._dialer, Kind.OPENING, self._exchange, self._opening)

    def push(self, frame: bytes, *, confirmed: bool) -> None:
        check_size(frame)
        if self._closed or self._ending:
            return
        self._sequence += 1
        self._newest = frame
        if confirmed:
            self._to_confirm = self._sequence
        self._send()

    def close(self) -> None:
        if not self._closed and not self._ending:
            self._ending = True
            self._send()

    def acknowledged(self, sequence: int) -> None:
        """The dialer has that state: it lives, and has the confirmed one if it is no newer."""
        self._tries = 0
        if sequence >= self._to_confirm and not self._ending:
            self._disarm()

    def gone(self) -> None:
        """The dialer left, or we refuse it: forget the subscription."""
        self._disarm()
        self._closed = True
        self._endpoint.pushers.pop((self._dialer, self._exchange), None)

    def _send(self) -> None:
        waits = self._ending or self._timer is not None or self._to_confirm == self._sequence
        kind = Kind.END if self._ending else Kind.CONFIRMED_PUSH if waits else Kind.PUSH
        body = b"" if self._ending else self._newest
        self._endpoint.send(self._dialer, kind, self._exchange, body, self._sequence)
        if waits and self._timer is None:
            self._tries = 0
            self._arm()

    def _arm(self) -> None:
        wait_s = self._endpoint.repeat_s * min(1 << self._tries, MAX_BACKOFF)
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._repeat)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _repeat(self) -> None:
        self._tries += 1
        if self._tries > MAX_TRIES:
            self.gone()
            return
        self._send()
        self._arm()


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
        return BEARER

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


def check_size(frame: bytes) -> None:
    """Raises FrameTooLarge."""
    if len(frame) > MAX_FRAME_BYTES:
        raise FrameTooLarge(f"a frame has {MAX_FRAME_BYTES} bytes at most, not {len(frame)}")


def _settle(future: asyncio.Future[bytes | None], answer: bytes | None) -> None:
    if not future.done():
        future.set_result(answer)
