"""The dialer's end of a link over CoAP: requests by POST, subscriptions by FETCH with Observe (RFC 7641, RFC 8132)."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from transports.coap.address import TRADE_PATH, Peer
from transports.coap.asking import OBSERVE_DEREGISTER, OBSERVE_REGISTER, Question
from transports.coap.endpoint import Endpoint
from transports.coap.packet import Code, Kind, Packet
from transports.errors import FrameTooLarge, LinkLost
from transports.interface import MAX_FRAME_BYTES

BEARER = "coap"

MAX_REQUESTS_UNDER_WAY = 16
"""To one peer. RFC 7252 (4.7) starts with 1 for lack of any knowledge of the path; then one lost status would hold up
a Stop for a whole retransmission. A trade has three or four under way at most."""

MAX_PUSHES_WAITING = 16
"""Newest states not yet taken by the layer above; then the oldest goes, which a newer one has overtaken anyway."""


class CoapLink:
    """A `Link` over one UDP endpoint. It holds no state at the peer but its subscriptions."""

    def __init__(self, endpoint: Endpoint, peer: Peer) -> None:
        self._endpoint = endpoint
        self._peer = peer
        self._turns = asyncio.Semaphore(MAX_REQUESTS_UNDER_WAY)
        self._closed = False
        self._subscriptions: set[Pushes] = set()

    @property
    def bearer(self) -> str:
        return BEARER

    @property
    def address(self) -> str:
        return str(self._peer)

    async def request(self, frame: bytes, *, timeout_ms: int) -> bytes:
        self._check(frame)
        try:
            async with asyncio.timeout(timeout_ms / 1000), self._turns:
                with Question(self._endpoint, self._peer, Code.POST) as question:
                    answer = await question.ask(frame)
                    _check_success(answer, self.address)
                    return await question.rest(answer)
        except TimeoutError:
            raise LinkLost(f"{self.address} did not answer in {timeout_ms} ms") from None

    def subscribe(self, frame: bytes, *, timeout_ms: int) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._subscription(frame, timeout_ms)

    @asynccontextmanager
    async def _subscription(self, frame: bytes, timeout_ms: int) -> AsyncIterator[AsyncIterator[bytes]]:
        self._check(frame)
        pushes = Pushes(self._endpoint, self._peer, timeout_ms)
        self._subscriptions.add(pushes)
        try:
            with Question(self._endpoint, self._peer, Code.FETCH, pushed=pushes) as question:
                try:
                    await pushes.open(question, frame)
                    yield pushes
                finally:
                    self._leave(question.token)
        finally:
            self._subscriptions.discard(pushes)

    def _leave(self, token: bytes) -> None:
        """Tell the acceptor once (RFC 7641, 3.6); should it be lost, the next push is answered with a reset."""
        if not self._endpoint.closed:
            mid = self._endpoint.new_mid(self._peer)
            leaving = Packet(
                Kind.NON_CONFIRMABLE, Code.FETCH, mid, token, path=(TRADE_PATH,), observe=OBSERVE_DEREGISTER
            )
            self._endpoint.send(leaving, self._peer)

    async def aclose(self) -> None:
        self._closed = True
        for pushes in self._subscriptions:
            pushes.lost("the link was closed")

    def _check(self, frame: bytes) -> None:
        if len(frame) > MAX_FRAME_BYTES:
            raise FrameTooLarge(f"a frame has at most {MAX_FRAME_BYTES} bytes, not {len(frame)}")
        if self._closed or self._endpoint.closed:
            raise LinkLost(f"the link to {self.address} is closed")


class Pushes:
    """What a subscription brings: its opening answer, then the newest pushes. Ends when the acceptor ends it."""

    def __init__(self, endpoint: Endpoint, peer: Peer, timeout_ms: int) -> None:
        self._endpoint = endpoint
        self._peer = peer
        self._timeout_s = timeout_ms / 1000
        self._opening: bytes | None = None
        self._waiting: deque[Packet] = deque(maxlen=MAX_PUSHES_WAITING)
        self._news = asyncio.Event()
        self._ended = False
        self._why_lost: str | None = None

    async def open(self, question: Question, frame: bytes) -> None:
        """Raises LinkLost when the acceptor did not open the subscription in time."""
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await question.ask(frame, observe=OBSERVE_REGISTER)
                _check_success(answer, str(self._peer))
                if answer.observe is None:
                    raise LinkLost(f"{self._peer} answered but does not push")
                self._opening = await self._rest(answer)
        except TimeoutError:
            raise LinkLost(f"{self._peer} did not open the subscription in time") from None

    def put(self, packet: Packet) -> None:
        """A response came under the subscription's token; one without Observe is the last (RFC 7641, 3.2)."""
        if packet.is_success and packet.observe is not None:
            self._waiting.append(packet)
        else:
            self._ended = True
        self._news.set()

    def lost(self, why: str) -> None:
        self._why_lost = why
        self._news.set()

    def __aiter__(self) -> "Pushes":
        return self

    async def __anext__(self) -> bytes:
        if self._opening is not None:
            opening, self._opening = self._opening, None
            return opening
        while True:
            frame = await self._whole(await self._next())
            if frame is not None:
                return frame

    async def _next(self) -> Packet:
        while not self._waiting:
            if self._why_lost is not None:
                raise LinkLost(f"{self._peer}: {self._why_lost}")
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()

    async def _whole(self, packet: Packet) -> bytes | None:
        """A large push whose rest doesn't come is a lost push, not a lost link."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._rest(packet)
        except (TimeoutError, LinkLost):
            return None

    async def _rest(self, packet: Packet) -> bytes:
        """The parts after the first are asked for under a token of their own (RFC 7959, 2.6)."""
        if packet.block2 is None:
            return packet.payload
        with Question(self._endpoint, self._peer, Code.FETCH) as question:
            return await question.rest(packet)


def _check_success(answer: Packet, address: str) -> None:
    if not answer.is_success:
        raise LinkLost(f"{address} refused the request ({answer.code_text})")
