"""Notices that a microgrid's sites pass on to each other: one gossipsub topic, `/v2x/<microgrid>/notices`.

For what everybody in the microgrid may know and somebody signed: a coordinator's notices, offers of fixed sites. Never
for readings, nor for anything else about one delivery: those belong in a sealed link. A vehicle, whose host key is
random, takes no part.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from transports.errors import FrameTooLarge, LocalTransportError
from transports.libp2p.library import (
    ID,
    BasicHost,
    GossipSub,
    Pubsub,
    PubsubMessage,
    TProtocol,
    background_trio_service,
)
from transports.rates import SourceRates

MAX_NOTICE_BYTES = 1_024
"""As long as a message of the trade protocol may be."""
MAX_RPC_BYTES = 16_384
"""What a neighbour may say at once: some notices and gossip's own."""
PUBLISH_BURST, PUBLISH_REFILL_MS = 4, 500
"""Ours. py-libp2p lost 400 of 1,000 messages that came at 20 a second."""
MAX_PUBLISHING = 16
"""Notices that wait for their turn."""
MAX_WAITING = 64
"""Notices that came and were not yet taken; then the oldest goes."""
NEIGHBOUR_BURST, NEIGHBOUR_REFILL_MS, NEIGHBOURS = 64, 50, 256
"""New notices from one neighbour, who passes on those of many. Each costs the check of a signature."""
HEARTBEAT_S = 1
"""gossipsub 1.1's; the library's default of 120 s leaves a new neighbour out for two minutes."""
DEGREE, DEGREE_LOW, DEGREE_HIGH = 6, 4, 12
"""Neighbours to whom notices are sent whole (gossipsub 1.0: D, D_low, D_high)."""
PROTOCOLS = ("/meshsub/1.1.0", "/meshsub/1.0.0")
Check = Callable[[bytes], bool]
log = logging.getLogger(__name__)


class Notices:
    """A node's part in the gossip of its microgrid; the asyncio side. Iterate over it for what the others say."""

    def __init__(self, check: Check, send: Callable[[bytes], Awaitable[None]]) -> None:
        """check: whether bytes are a notice that may be believed and passed on. It is called for whatever a stranger
        sends, on the bearer's own thread, so it must depend on nothing but its argument and what never changes."""
        self.check = check
        self._send = send
        self._arrived: deque[bytes] = deque(maxlen=MAX_WAITING)
        self._news = asyncio.Event()
        self._closed = False
        self._turn = asyncio.Lock()
        self._publishing = 0
        self._tokens = float(PUBLISH_BURST)
        self._counted_s = asyncio.get_running_loop().time()

    async def publish(self, notice: bytes) -> None:
        """Hand a signed notice to the neighbours, as soon as the pace allows it. Nobody says who got it.

        Raises FrameTooLarge above `MAX_NOTICE_BYTES`, LocalTransportError when `MAX_PUBLISHING` wait already, and
        LinkLost while the bearer is being started again.
        """
        if len(notice) > MAX_NOTICE_BYTES:
            raise FrameTooLarge(f"a notice has at most {MAX_NOTICE_BYTES} bytes, not {len(notice)}")
        if self._publishing >= MAX_PUBLISHING:
            raise LocalTransportError(f"{MAX_PUBLISHING} notices wait to be published already")
        self._publishing += 1
        try:
            async with self._turn:
                await self._pace()
                await self._send(notice)
        finally:
            self._publishing -= 1

    async def _pace(self) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        gained = (now_s - self._counted_s) * 1_000 / PUBLISH_REFILL_MS
        self._tokens, self._counted_s = min(PUBLISH_BURST, self._tokens + gained) - 1, now_s
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens * PUBLISH_REFILL_MS / 1_000)

    def arrive(self, notice: bytes) -> None:
        """A notice that was checked."""
        self._arrived.append(notice)
        self._news.set()

    def close(self) -> None:
        """The iterator ends once all that came is taken."""
        self._closed = True
        self._news.set()

    def __aiter__(self) -> "Notices":
        return self

    async def __anext__(self) -> bytes:
        while not self._arrived:
            if self._closed:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._arrived.popleft()


class Mesh:
    """gossipsub on the trio side."""

    def __init__(self, topic: str, check: Check, deliver: Callable[[bytes], None]) -> None:
        self._topic = topic
        self._check = check
        self._deliver = deliver
        self._pubsub: CheckedPubsub | None = None

    @asynccontextmanager
    async def running(self, host: BasicHost) -> AsyncIterator[None]:
        """Take part for as long as the context."""
        router = GossipSub(
            [TProtocol(protocol) for protocol in PROTOCOLS],
            degree=DEGREE,
            degree_low=DEGREE_LOW,
            degree_high=DEGREE_HIGH,
            heartbeat_interval=HEARTBEAT_S,
            max_messages_per_topic_per_second=1_000 / NEIGHBOUR_REFILL_MS,
            adaptive_gossip_enabled=False,  # it would set the heartbeat to half a minute
            eclipse_protection_enabled=False,  # it wants three networks, where a microgrid has one
        )
        pubsub = CheckedPubsub(host, router, self._topic, self._check)
        try:
            async with background_trio_service(pubsub), background_trio_service(router), trio.open_nursery() as nursery:
                await pubsub.wait_until_ready()
                nursery.start_soon(self._listen, pubsub)
                self._pubsub = pubsub
                yield
                nursery.cancel_scope.cancel()
        finally:
            self._pubsub = None
            pubsub.seen_messages.stop()  # a thread, which the library forgets

    async def publish(self, notice: bytes) -> None:
        if self._pubsub is not None:
            await self._pubsub.publish(self._topic, notice)

    def knows(self, peer: ID) -> bool:
        """Whether that peer is a neighbour."""
        return self._pubsub is not None and peer in self._pubsub.peers

    async def _listen(self, pubsub: "CheckedPubsub") -> None:
        own = pubsub.my_id.to_bytes()
        subscription = await pubsub.subscribe(self._topic)
        while True:
            message = await subscription.get()
            if message.from_id != own:
                self._deliver(message.data)


class CheckedPubsub(Pubsub):
    """Looks at what neighbours send before the library works on it, remembers it or passes it on."""

    def __init__(self, host: BasicHost, router: GossipSub, topic: str, check: Check) -> None:
        super().__init__(host, router, max_inbound_rpc_size=MAX_RPC_BYTES, allowed_topics={topic})
        self._topic = topic
        self._check = check
        self._rates = SourceRates(burst=NEIGHBOUR_BURST, refill_ms=NEIGHBOUR_REFILL_MS, sources=NEIGHBOURS)

    async def push_msg(self, msg_forwarder: ID, msg: PubsubMessage) -> None:
        if msg_forwarder == self.my_id or self._is_welcome(msg_forwarder, msg):
            await super().push_msg(msg_forwarder, msg)

    def _is_welcome(self, neighbour: ID, message: PubsubMessage) -> bool:
        """The cheap questions first, the signature last."""
        if len(message.data) > MAX_NOTICE_BYTES or list(message.topicIDs) != [self._topic]:
            return False
        if self._is_msg_seen(message):
            return False
        if not self._rates.allow(str(neighbour), int(trio.current_time() * 1_000)):
            return False
        try:
            return self._check(message.data)
        except Exception:  # the node's own code: its fault must neither end the bearer nor let anything through
            log.exception("the check of a notice failed")
            return False
