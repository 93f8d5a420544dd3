"""The acceptor's side: requests in, answers out, and silence wherever silence was chosen.

Silent means that nothing at all leaves: no acknowledgement, no error, no reset (CoAP's ping goes unanswered too). A
node that announces itself is no secret, so it also says politely what a request did wrong; one that doesn't says so
only to peers that its handler has answered before.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from transports.coap.address import TRADE_PATH, Peer
from transports.coap.asking import OBSERVE_DEREGISTER, OBSERVE_REGISTER
from transports.coap.blocks import BLOCK_BYTES, Bodies, Body, Incomplete, TooLarge, Uploads, part_of
from transports.coap.datagrams import Via
from transports.coap.endpoint import Endpoint
from transports.coap.linkformat import compose, matches
from transports.coap.observers import Observers, Watch
from transports.coap.packet import Block, Code, Kind, Packet, encode
from transports.coap.shelf import Shelf
from transports.errors import FrameTooLarge
from transports.interface import MAX_FRAME_BYTES, Announcement, Handler

MAX_REQUESTS_AT_ONCE = 256
"""Handlers at work; further requests are dropped unheard and come again by their sender's retransmission."""

MAX_RECENT = 2_048
"""Requests remembered to recognise repeated ones, with their answers: 2.4 MB at most. A flood may push one out; then
the handler sees a frame twice, which it must bear from any bearer."""

RECENT_KEEP_MS = 67_000
"""EXCHANGE_LIFETIME (RFC 7252, 4.8.2) for datagrams that are at most 10 s on their way, where the RFC grants 100 s.
The token is compared as well, so a message id that comes round again is no repetition."""

MAX_ACQUAINTANCES = 1_024
"""Peers that the handler answered: a car park's worth."""

ACQUAINTANCE_KEEP_MS = 3_600_000
"""A pause of a session."""

WELL_KNOWN_CORE = (".well-known", "core")
LINK_FORMAT = 40

_TRADE = (TRADE_PATH,)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, who sent it, and at which of our addresses it came."""

    packet: Packet
    peer: Peer
    via: Via | None

    def reply(self, code: Code, payload: bytes, mid: int, options: "_Options") -> Packet:
        """The answer: in the acknowledgement of a confirmable request, by itself otherwise (RFC 7252, 5.2)."""
        confirmable = self.packet.kind is Kind.CONFIRMABLE
        return Packet(
            Kind.ACKNOWLEDGEMENT if confirmable else Kind.NON_CONFIRMABLE,
            code,
            self.packet.mid if confirmable else mid,
            self.packet.token,
            payload,
            observe=options.observe,
            block1=options.block1,
            block2=options.block2,
            etag=options.etag,
            content_format=options.content_format,
        )


@dataclass(frozen=True, slots=True)
class _Options:
    """What an answer may carry besides its payload."""

    observe: int | None = None
    block1: Block | None = None
    block2: Block | None = None
    etag: bytes | None = None
    content_format: int | None = None


_PLAIN = _Options()


class Server:
    """Answers on the node's own port with `handler`. `shown` gives the announcement of the moment, None for none."""

    def __init__(self, endpoint: Endpoint, handler: Handler, shown: Callable[[], Announcement | None]) -> None:
        self._endpoint = endpoint
        self._handler = handler
        self._shown = shown
        self._uploads = Uploads()
        self._bodies = Bodies()
        self._observers = Observers(endpoint, self._bodies)
        self._recent: Shelf[tuple[Peer, int, bytes], bytes | None] = Shelf(places=MAX_RECENT, keep_ms=RECENT_KEEP_MS)
        self._acquainted: Shelf[Peer, None] = Shelf(places=MAX_ACQUAINTANCES, keep_ms=ACQUAINTANCE_KEEP_MS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    async def close(self) -> None:
        """Tell the observers, and wait until no handler runs any more."""
        self._closing = True
        self._observers.shut()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def reset(self, peer: Peer, mid: int) -> None:
        self._observers.reset(peer, mid)

    def request(self, packet: Packet, peer: Peer, via: Via | None) -> None:
        """Take one request that came to our own port."""
        key, now_ms = (peer, packet.mid, packet.token), self._endpoint.now_ms()
        if self._recent.holds(key, now_ms):
            answer = self._recent.get(key, now_ms)
            if answer is not None and packet.kind is Kind.CONFIRMABLE:
                self._endpoint.repeat(answer, peer, via)
        elif len(self._tasks) < MAX_REQUESTS_AT_ONCE and not self._closing:
            self._recent.put(key, None, now_ms)
            self._dispatch(_Asked(packet, peer, via))

    def _dispatch(self, asked: _Asked) -> None:
        packet = asked.packet
        if packet.has_unknown_critical:
            self._complain(asked, Code.BAD_OPTION)
        elif packet.path == WELL_KNOWN_CORE:
            self._describe(asked)
        elif packet.path != _TRADE:
            self._complain(asked, Code.NOT_FOUND)
        elif packet.code == Code.FETCH and packet.observe == OBSERVE_DEREGISTER:
            if self._observers.remove(asked.peer, packet.token):
                self._reply(asked, Code.CONTENT, b"")
        elif packet.code not in (Code.POST, Code.FETCH):
            self._complain(asked, Code.METHOD_NOT_ALLOWED)
        elif packet.block2 is not None and packet.block2.number > 0:
            self._continue_body(asked, packet.block2)
        else:
            self._collect(asked)

    def _describe(self, asked: _Asked) -> None:
        """`/.well-known/core` (RFC 6690), relative to the port that was asked."""
        packet, announcement = asked.packet, self._shown()
        if announcement is None:
            return
        if packet.code != Code.GET:
            self._complain(asked, Code.METHOD_NOT_ALLOWED)
        elif packet.accept not in (None, LINK_FORMAT):
            self._complain(asked, Code.NOT_ACCEPTABLE)
        else:
            found = compose(announcement, None) if matches(packet.query, announcement) else ""
            self._reply(asked, Code.CONTENT, found.encode(), _Options(content_format=LINK_FORMAT))

    def _continue_body(self, asked: _Asked, wanted: Block) -> None:
        body = self._bodies.find(asked.peer, asked.packet.token, self._endpoint.now_ms())
        if body is None or wanted.offset >= len(body.frame):
            self._complain(asked, Code.ENTITY_INCOMPLETE)
            return
        payload, block = part_of(body.frame, wanted.number, wanted.size)
        self._reply(asked, _success(asked.packet), payload, _Options(block2=block, etag=body.etag))

    def _collect(self, asked: _Asked) -> None:
        """Hand the frame over once it is whole."""
        packet = asked.packet
        if packet.block1 is None:
            self._accept(asked, packet.payload)
            return
        if not self._greets(asked.peer):
            return  # to ask a stranger for the rest would already be an answer
        key = (asked.peer, packet.code, packet.request_tag)
        try:
            frame = self._uploads.add(key, packet.payload, packet.block1, self._endpoint.now_ms())
        except Incomplete:
            self._complain(asked, Code.ENTITY_INCOMPLETE)
        except TooLarge:
            self._complain(asked, Code.ENTITY_TOO_LARGE)
        else:
            if frame is None:
                self._reply(asked, Code.CONTINUE, b"", _Options(block1=packet.block1))
            else:
                self._accept(asked, frame)

    def _accept(self, asked: _Asked, frame: bytes) -> None:
        if asked.packet.code == Code.POST:
            self._run(self._answer(asked, frame))
        elif asked.packet.observe != OBSERVE_REGISTER:
            self._complain(asked, Code.METHOD_NOT_ALLOWED)
        elif not self._observers.is_full:
            self._run(self._subscribe(asked, frame))

    async def _answer(self, asked: _Asked, frame: bytes) -> None:
        answer = await self._handler.answer(frame, str(asked.peer))
        if answer is not None:
            self._reply_frame(asked, answer)

    async def _subscribe(self, asked: _Asked, frame: bytes) -> None:
        observer = self._observers.add(Watch(asked.peer, asked.packet.token, asked.via))
        answer = None
        try:
            answer = await self._handler.subscribed(frame, str(asked.peer), observer)
        finally:
            if answer is None:
                observer.drop()
        if answer is not None and not observer.closed:
            self._reply_frame(asked, answer, observe=observer.open())
            observer.flush()

    def _reply_frame(self, asked: _Asked, frame: bytes, *, observe: int | None = None) -> None:
        if len(frame) > MAX_FRAME_BYTES:
            raise FrameTooLarge(f"a frame has at most {MAX_FRAME_BYTES} bytes, not {len(frame)}")
        now_ms, packet = self._endpoint.now_ms(), asked.packet
        self._acquainted.put(asked.peer, None, now_ms)
        size = BLOCK_BYTES if packet.block2 is None else packet.block2.size
        code = _success(packet)
        if len(frame) <= size:
            self._reply(asked, code, frame, _Options(observe=observe, block1=packet.block1))
            return
        body = Body(frame)
        self._bodies.keep(asked.peer, packet.token, body, now_ms)
        payload, block = part_of(frame, 0, size)
        options = _Options(observe=observe, block1=packet.block1, block2=block, etag=body.etag)
        self._reply(asked, code, payload, options)

    def _complain(self, asked: _Asked, code: Code) -> None:
        if asked.packet.kind is Kind.CONFIRMABLE and self._greets(asked.peer):
            self._reply(asked, code, b"", _Options(block1=asked.packet.block1))

    def _greets(self, peer: Peer) -> bool:
        return self._shown() is not None or self._acquainted.holds(peer, self._endpoint.now_ms())

    def _reply(self, asked: _Asked, code: Code, payload: bytes, options: _Options = _PLAIN) -> None:
        answer = encode(asked.reply(code, payload, self._endpoint.new_mid(asked.peer), options))
        key = (asked.peer, asked.packet.mid, asked.packet.token)
        self._recent.put(key, answer, self._endpoint.now_ms())
        self._endpoint.repeat(answer, asked.peer, asked.via)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ran)

    def _ran(self, task: asyncio.Task[None]) -> None:
        """A handler that raised is a fault of this program: the peer hears nothing, the event loop's exception handler
        (and so whoever runs the node) hears everything."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            context = {"message": "a handler of the CoAP bearer failed", "exception": error, "task": task}
            task.get_loop().call_exception_handler(context)


def _success(packet: Packet) -> Code:
    return Code.CHANGED if packet.code == Code.POST else Code.CONTENT
