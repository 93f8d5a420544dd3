"""The dialer's side of one question: parts up, an answer, parts down, all within the caller's deadline."""

import asyncio
import secrets
from dataclasses import replace
from typing import Protocol

from transports.coap.address import TRADE_PATH, Peer
from transports.coap.blocks import BLOCK_BYTES, BrokenBody, Download, part_of
from transports.coap.endpoint import Endpoint, Fate
from transports.coap.packet import Code, Kind, Packet
from transports.errors import LinkLost

REQUEST_TAG_BYTES = 4
"""Keeps apart the few large frames that one dialer may have under way (RFC 9175, 3.4)."""

OBSERVE_REGISTER, OBSERVE_DEREGISTER = 0, 1
"""In a request, Observe says whether to start or stop (RFC 7641, 2)."""


class Pushed(Protocol):
    """Who takes what an observation brings after its first answer."""

    def put(self, packet: Packet) -> None: ...

    def lost(self, why: str) -> None: ...


class Question:
    """One token's conversation with a peer. A context: leaving it stops everything that it sent.

    pushed: given for an observation.
    """

    def __init__(self, endpoint: Endpoint, peer: Peer, code: Code, *, pushed: Pushed | None = None) -> None:
        self._endpoint = endpoint
        self._peer = peer
        self._pushed = pushed
        self.token = endpoint.new_token(peer)
        self._head = Packet(Kind.CONFIRMABLE, code, 0, self.token, path=(TRADE_PATH,))
        self._answer: asyncio.Future[Packet] | None = None
        self._mid: int | None = None
        self._acknowledged = False

    def __enter__(self) -> "Question":
        self._endpoint.listen(self._peer, self.token, self)
        return self

    def __exit__(self, *_: object) -> None:
        self._endpoint.unlisten(self._peer, self.token, refuse=self._pushed is not None)

    async def ask(self, frame: bytes, *, observe: int | None = None) -> Packet:
        """Send `frame`, in parts where it must be, and return the first answer, whose payload may be a first part."""
        if len(frame) <= BLOCK_BYTES:
            return await self._exchange(replace(self._head, payload=frame, observe=observe))
        tag, sent, size = secrets.token_bytes(REQUEST_TAG_BYTES), 0, BLOCK_BYTES
        while True:
            part, block = part_of(frame, sent // size, size)
            head = replace(self._head, payload=part, block1=block, request_tag=tag, observe=observe)
            answer = await self._exchange(head)
            sent += len(part)
            if not block.more or answer.code != Code.CONTINUE:
                return answer
            if answer.block1 is not None:
                size = min(size, answer.block1.size)

    async def rest(self, answer: Packet) -> bytes:
        """The whole frame that `answer` begins. Raises LinkLost when its parts don't fit together."""
        if answer.block2 is None:
            return answer.payload
        try:
            download = Download(answer.payload, answer.block2, answer.etag)
            while not download.complete:
                part = await self._exchange(replace(self._head, block2=download.next))
                if not part.is_success or part.block2 is None:
                    raise BrokenBody(f"the peer did not give the rest of its answer ({part.code_text})")
                download.add(part.payload, part.block2, part.etag)
        except BrokenBody as error:
            raise LinkLost(str(error)) from error
        return download.frame

    def heard(self, packet: Packet) -> None:
        answer = self._awaited()
        if answer is not None and self._is_answer(packet):
            answer.set_result(packet)
        elif self._pushed is not None and packet.kind is not Kind.ACKNOWLEDGEMENT:
            self._pushed.put(packet)

    def lost(self, why: str) -> None:
        self._failed(why)
        if self._pushed is not None:
            self._pushed.lost(why)

    async def _exchange(self, packet: Packet) -> Packet:
        """One confirmable message, repeated until it is answered. Waits for ever: the caller has the deadline."""
        answer: asyncio.Future[Packet] = asyncio.get_running_loop().create_future()
        self._answer, self._mid, self._acknowledged = answer, self._endpoint.new_mid(self._peer), False
        fate = Fate(acknowledged=self._was_acknowledged, failed=self._failed)
        attempt = self._endpoint.confirm(packet.numbered(self._mid), self._peer, fate, awaited=True)
        try:
            return await answer
        finally:
            attempt.stop()
            self._answer = None
            if not answer.cancel() and not answer.cancelled():
                answer.exception()  # seen, also where the caller was cancelled in the same turn

    def _awaited(self) -> asyncio.Future[Packet] | None:
        return None if self._answer is None or self._answer.done() else self._answer

    def _was_acknowledged(self) -> None:
        self._acknowledged = True

    def _failed(self, why: str) -> None:
        answer = self._awaited()
        if answer is not None:
            answer.set_exception(LinkLost(f"{self._peer}: {why}"))

    def _is_answer(self, packet: Packet) -> bool:
        """An observation's first push may overtake its answer, which came in the acknowledgement or, after an empty
        one, comes apart from it (RFC 7252, 5.2)."""
        if packet.kind is Kind.ACKNOWLEDGEMENT:
            return packet.mid == self._mid
        return self._pushed is None or self._acknowledged
