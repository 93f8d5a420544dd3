"""Somebody who speaks libp2p well and means no good: py-libp2p's own host, with few of our bounds."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import trio

from transports.libp2p.address import parse_address
from transports.libp2p.bridge import Bridge
from transports.libp2p.host import TRADE_PROTOCOL
from transports.libp2p.library import (
    ID,
    BasicHost,
    INetStream,
    Multiaddr,
    Swarm,
    SwarmConn,
    TProtocol,
    Yamux,
    create_new_key_pair,
    new_host,
)
from transports.libp2p.sockets import Counters, Sockets, opened

T = TypeVar("T")


class Attacker:
    """`do` runs a function on the trio side, where the others belong."""

    def __init__(self, bridge: Bridge, host: BasicHost, sockets: Sockets, victim: str) -> None:
        self._sockets = sockets
        self._bridge = bridge
        self._host = host
        self._victim = victim
        self._peer = ID.from_string(parse_address(victim).peer_id)

    async def do(self, work: Callable[[], Awaitable[T]]) -> T:
        async with asyncio.timeout(30):
            return await self._bridge.call(work)

    async def connection(self) -> Yamux:
        """The one to the victim."""
        swarm = self._host.get_network()
        assert isinstance(swarm, Swarm)
        found = [connection for connection in swarm.get_connections(self._peer) if not connection.is_closed]
        connection = found[0] if found else await swarm.dial_addr(Multiaddr(self._victim), self._peer)
        assert isinstance(connection, SwarmConn)
        assert isinstance(connection.muxed_conn, Yamux)
        self._sockets.proven(connection.muxed_conn.get_remote_address())  # or its own bound would end it
        return connection.muxed_conn

    async def stream(self, protocol: str = TRADE_PROTOCOL) -> INetStream:
        await self.connection()
        return await self._host.new_stream(self._peer, [TProtocol(protocol)])

    async def write(self, data: bytes) -> bytes:
        """Say something on a new stream of the trade protocol, and hear all that comes until its end."""
        stream, heard = await self.stream(), b""
        await stream.write(data)
        try:
            while more := await stream.read(65_536):
                heard += more
        except EOFError:
            pass
        return heard


@asynccontextmanager
async def attacking(victim: str) -> AsyncIterator[Attacker]:
    bridge, made = Bridge(), list[tuple[BasicHost, Sockets]]()

    async def run(started: Callable[[None], None]) -> None:
        async with opened("127.0.0.1", 0, Counters()) as sockets:  # the library leaves its own open
            host = new_host(create_new_key_pair(os.urandom(32)), muxer_preference="YAMUX", transports=[sockets])
            assert isinstance(host, BasicHost)
            made.append((host, sockets))
            async with host.run(listen_addrs=[]):
                started(None)
                await trio.sleep_forever()

    await bridge.start(run)
    try:
        yield Attacker(bridge, *made[0], victim)
    finally:
        await bridge.stop()
