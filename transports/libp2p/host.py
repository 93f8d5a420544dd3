"""The libp2p host: lives on the trio side of the bridge."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import trio

from transports.errors import LinkLost
from transports.identifier import ANNOUNCEMENT_BYTES
from transports.libp2p.address import InvalidAddress, PeerAddress
from transports.libp2p.bridge import Bridge
from transports.libp2p.building import UPGRADE_S, build
from transports.libp2p.gossip import Mesh
from transports.libp2p.library import (
    ID,
    BaseLibp2pError,
    BasicHost,
    Direction,
    INetConn,
    INetStream,
    Multiaddr,
    PingService,
    SwarmConn,
    TProtocol,
    Yamux,
    create_new_key_pair,
)
from transports.libp2p.pipe import FOREIGN, StreamPipe, let_go
from transports.libp2p.sockets import Counters, Sockets, network_of, opened

TRADE_PROTOCOL = "/v2x/trade/1.0.0"
SIGHTING_PROTOCOL = "/v2x/sighting/1.0.0"
"""The acceptor says what it shows to everybody (`transports/identifier.py`), and closes the stream."""
MAX_PIPES = 96
"""Accepted at once, of all peers."""
MAX_PIPES_A_PEER = 2
"""A peer needs one; for a moment there may be the one that it lost beside the one that it opened anew."""
MAX_PIPES_A_SOURCE = MAX_PIPES // 4
"""Of one network (see `network_of`): keys cost nothing."""
IDLE_S = 30
"""How long a connection that a peer opened may be of no use."""

LINGER_S = 2
"""Whom we looked at, we often dial next."""
FORGET_S = 2
"""How long gossip may take to notice the end of a connection; measured: 0.2 s."""
KEEP_S = 5
"""How soon a connection to a neighbour is opened again."""


def peer_id_of(seed: bytes) -> str:
    """The peer id that belongs to the 32 bytes of an Ed25519 key."""
    return str(ID.from_pubkey(create_new_key_pair(seed).public_key))


class Host:
    """run: everything. The other methods belong to the trio side too, and need `run` to be running."""

    def __init__(
        self,
        bridge: Bridge,
        seed: bytes,
        counters: Counters,
        accept: Callable[[StreamPipe], None],
        mesh: Mesh | None = None,
        neighbours: Iterable[PeerAddress] = (),
    ) -> None:
        """accept: called on the asyncio side with each pipe that a peer opened. mesh: gossips, over connections to the
        neighbours that are kept, and to whoever connects."""
        self._mesh = mesh
        self._neighbours = tuple(neighbours) if mesh is not None else ()
        self._bridge = bridge
        self._keys = create_new_key_pair(seed)
        self._counters = counters
        self._accept = accept
        self.peer_id = ID.from_pubkey(self._keys.public_key)
        self.shown: bytes | None = None
        """What a peer that asks is told; None is silence."""
        self._uses: Counter[ID] = Counter()
        self._accepted: Counter[ID] = Counter()
        self._sources: Counter[str] = Counter()
        self._dialling: dict[PeerAddress, trio.Lock] = {}
        """By address: a false one of a peer does not keep us from his own."""
        self._dropping: set[INetConn] = set()
        self._sockets: Sockets | None = None
        self._host: BasicHost | None = None

    async def run(self, host: str, port: int, started: Callable[[int], None]) -> None:
        """Listen and answer until cancelled. started: called with the TCP port. Raises PortTaken."""
        async with opened(host, port, self._counters) as sockets, self._hosted(sockets):
            started(sockets.port)
            await trio.sleep_forever()

    @asynccontextmanager
    async def _hosted(self, sockets: Sockets) -> AsyncIterator[None]:
        self._sockets, self._host = sockets, self._build(sockets)
        try:
            async with contextlib.AsyncExitStack() as stack:
                await stack.enter_async_context(self._host.run(listen_addrs=[sockets.address]))
                if self._mesh is not None:
                    await stack.enter_async_context(self._mesh.running(self._host))
                nursery = await stack.enter_async_context(trio.open_nursery())
                nursery.start_soon(self._reap)
                for address in self._neighbours:
                    nursery.start_soon(self._keep, address)
                yield
                nursery.cancel_scope.cancel()
        finally:
            self._sockets = self._host = None

    def _build(self, sockets: Sockets) -> BasicHost:
        host = build(self._keys, sockets)
        host.set_stream_handler(TProtocol(TRADE_PROTOCOL), self._on_trade)
        host.set_stream_handler(TProtocol(SIGHTING_PROTOCOL), self._on_sighting)
        return host

    async def dial(self, address: PeerAddress) -> StreamPipe:
        """A pipe to a peer. Raises LinkLost, also when somebody else is there."""
        peer = _peer(address)
        self._uses[peer] += 1
        try:
            stream = await self._stream(address, peer, TRADE_PROTOCOL)
        except BaseException:
            self._release(peer)
            raise
        pipe = StreamPipe(self._bridge, str(peer))
        self._bridge.spawn(pipe.carry, stream, lambda: self._release(peer))
        return pipe

    async def ask(self, address: PeerAddress) -> bytes | None:
        """What the peer shows to everybody; None if it is silent, not there, or not who it should be."""
        peer = _peer(address)
        self._uses[peer] += 1
        try:
            stream = await self._stream(address, peer, SIGHTING_PROTOCOL)
            try:
                return await _read_all(stream)
            finally:
                await let_go(stream)
        except (LinkLost, *FOREIGN):
            return None
        finally:
            self._release(peer)

    async def ping(self, address: PeerAddress) -> int:
        """The round trip in microseconds. Raises LinkLost."""
        peer = _peer(address)
        self._uses[peer] += 1
        try:
            await self._connect(address, peer)
            (took_us,) = await PingService(self._running()[1]).ping(peer)
            return int(took_us)
        except FOREIGN as problem:
            raise LinkLost(f"{address} does not answer a ping") from problem
        finally:
            self._release(peer)

    async def publish(self, notice: bytes) -> None:
        """Hand a notice to the neighbours, if this host gossips."""
        if self._mesh is not None:
            await self._mesh.publish(notice)

    def _running(self) -> tuple[Sockets, BasicHost]:
        if self._sockets is None or self._host is None:
            raise LinkLost("the libp2p host is not running")
        return self._sockets, self._host

    async def _stream(self, address: PeerAddress, peer: ID, protocol: str) -> INetStream:
        for attempt in (1, 2):
            fresh = await self._connect(address, peer)
            try:
                return await self._running()[1].new_stream(peer, [TProtocol(protocol)])
            except FOREIGN as problem:
                if fresh or attempt == 2:
                    raise LinkLost(f"{address} does not speak {protocol}") from problem
                if self._uses[peer] == 1:
                    self._drop(self._connections(peer))
        raise AssertionError("the second attempt returns or raises")

    async def _connect(self, address: PeerAddress, peer: ID) -> bool:
        """Have a connection to that peer: one that is there, which may be about to end, or a fresh one (then True)."""
        if peer == self.peer_id:
            raise LinkLost(f"{address} is this node itself")
        async with self._dialling.setdefault(address, trio.Lock()):
            swarm = self._running()[1].get_network()
            there = self._connections(peer)
            if any(self._is_live(connection) for connection in there):
                return False
            self._drop(there)
            await self._forgotten(peer)
            try:
                with trio.fail_after(UPGRADE_S):
                    await swarm.dial_addr(Multiaddr(str(address)), peer)
            except trio.TooSlowError:
                raise LinkLost(f"{address} does not finish the handshake in {UPGRADE_S} s") from None
            except FOREIGN as problem:
                raise LinkLost(f"{address} can't be reached: {problem}") from problem
            return True

    def _is_live(self, connection: INetConn) -> bool:
        """The library notices the end of a socket some steps later than the socket."""
        muxer = connection.muxed_conn
        if connection.is_closed or connection in self._dropping or not isinstance(muxer, Yamux):
            return False
        return self._running()[0].has(muxer.get_remote_address())

    def _drop(self, connections: Iterable[INetConn]) -> None:
        """Close connections in which nothing works any more; they are not used again from now on."""
        for connection in connections:
            if connection not in self._dropping:
                self._dropping.add(connection)
                self._bridge.spawn(self._drop_one, connection)

    async def _drop_one(self, connection: INetConn) -> None:
        try:
            await _close(connection)
        finally:
            self._dropping.discard(connection)

    async def _forgotten(self, peer: ID) -> None:
        """Wait until gossip has noticed that the last connection is gone: it takes a new one that is sooner for the old
        one, and then never speaks to that peer again."""
        with trio.move_on_after(FORGET_S):
            while self._mesh is not None and self._mesh.knows(peer):  # noqa: ASYNC110 - the library has no event for it
                await trio.sleep(0.02)

    def _release(self, peer: ID) -> None:
        """One use of a peer's connections less; without any, those that we opened are closed soon. The peer's own are
        his to close: he may just be opening a stream in one."""
        self._uses[peer] -= 1
        if not self._uses[peer]:
            del self._uses[peer]
            for address in [address for address in self._dialling if address.peer_id == str(peer)]:
                del self._dialling[address]
            if self._host is not None:
                self._bridge.spawn(self._hang_up, peer)

    async def _hang_up(self, peer: ID) -> None:
        await trio.sleep(LINGER_S)
        if self._uses[peer]:
            return
        for connection in self._connections(peer):
            if isinstance(connection, SwarmConn) and connection.direction == Direction.OUTBOUND:
                await _close(connection)

    async def _reap(self) -> None:
        """Close what peers opened and made no use of."""
        useless: set[INetConn] = set()
        while True:
            await trio.sleep(IDLE_S)
            now = {connection for connection in self._connections() if self._is_idle(connection)}
            for connection in now & useless:
                await _close(connection)
            useless = now - useless

    def _is_idle(self, connection: INetConn) -> bool:
        peer = connection.muxed_conn.peer_id
        return not self._uses[peer] and not (self._mesh is not None and self._mesh.knows(peer))

    async def _keep(self, address: PeerAddress) -> None:
        """Have a connection to a neighbour, always."""
        peer = _peer(address)
        if peer == self.peer_id:
            return
        self._uses[peer] += 1
        while True:
            with contextlib.suppress(LinkLost):
                await self._connect(address, peer)
            await trio.sleep(KEEP_S)

    def _connections(self, peer: ID | None = None) -> list[INetConn]:
        return [] if self._host is None else self._host.get_network().get_connections(peer)

    async def _on_trade(self, stream: INetStream) -> None:
        peer = stream.muxed_conn.peer_id
        source = _source(stream)
        if (
            self._accepted.total() >= MAX_PIPES
            or self._accepted[peer] >= MAX_PIPES_A_PEER
            or self._sources[source] >= MAX_PIPES_A_SOURCE
        ):
            await let_go(stream)
            return
        self._accepted[peer] += 1
        self._sources[source] += 1
        self._uses[peer] += 1
        pipe = StreamPipe(self._bridge, str(peer))
        self._bridge.to_asyncio(self._accept, pipe)
        await pipe.carry(stream, lambda: self._left(peer, source))

    def _left(self, peer: ID, source: str) -> None:
        self._accepted -= Counter([peer])  # which forgets those who have none
        self._sources -= Counter([source])
        self._release(peer)

    async def _on_sighting(self, stream: INetStream) -> None:
        with contextlib.suppress(*FOREIGN):
            if self.shown is not None:
                await stream.write(self.shown)
                await stream.close()
                return
        await let_go(stream)


def _peer(address: PeerAddress) -> ID:
    """Raises InvalidAddress: base58 alone makes no peer id."""
    try:
        Multiaddr(str(address))
        return ID.from_string(address.peer_id)
    except (BaseLibp2pError, ValueError) as problem:
        raise InvalidAddress(f"{address.peer_id} is no peer id") from problem


def _source(stream: INetStream) -> str:
    """The network that a stream comes from; empty for a connection that is gone already."""
    muxer = stream.muxed_conn
    remote = muxer.get_remote_address() if isinstance(muxer, Yamux) else None
    return "" if remote is None else network_of(remote[0])


async def _close(connection: INetConn) -> None:
    with contextlib.suppress(*FOREIGN):
        await connection.close()


async def _read_all(stream: INetStream) -> bytes:
    """What comes until the end, one byte more than a sighting at most."""
    data = b""
    with contextlib.suppress(EOFError):
        while len(data) <= ANNOUNCEMENT_BYTES and (more := await stream.read(ANNOUNCEMENT_BYTES + 1)):
            data += more
    return data
