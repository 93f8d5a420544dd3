"""What stands between strangers and py-libp2p where it trusts them: in the choice of a protocol, and in what it keeps
of each peer that it met."""

import contextlib
import logging

from transports.libp2p.library import (
    ID,
    AutoConnector,
    BaseLibp2pError,
    BasicHost,
    INetConn,
    INetStream,
    INetwork,
    INotifee,
    Multiaddr,
    MultiselectCommunicator,
    MultiselectCommunicatorError,
    Yamux,
    read_varint_prefixed_bytes_limited,
)
from transports.libp2p.sockets import Sockets

NEGOTIATION_S = 5
"""To agree on a stream's protocol."""
MAX_PROTOCOL_BYTES = 256
"""A line of multistream-select: the longest protocol of ours, gossip's or identify's has 30."""
log = logging.getLogger(__name__)


class BoundedCommunicator(MultiselectCommunicator):
    """Reads short lines of UTF-8 and refuses all else, where the library reads as much as a peer announces."""

    async def read(self) -> str:
        try:
            line = (await read_varint_prefixed_bytes_limited(self.read_writer, MAX_PROTOCOL_BYTES)).decode()
        except (BaseLibp2pError, ValueError) as problem:
            raise MultiselectCommunicatorError("no line of multistream-select") from problem
        if not line.endswith("\n"):
            raise MultiselectCommunicatorError("a line of multistream-select has no end")
        return line[:-1]


class NoAutoConnector(AutoConnector):
    """Takes the place of one that dials whomever it heard of whenever there are fewer connections than there might be,
    and that keeps a note of all who left."""

    async def maybe_connect(self) -> None:
        pass

    def record_disconnect(self, peer_id: ID) -> None:
        pass


class Guard(INotifee):
    """Hears of connections, and handles streams in the library's place."""

    def __init__(self, host: BasicHost, sockets: Sockets) -> None:
        self._host = host
        self._sockets = sockets

    async def handle(self, stream: INetStream) -> None:
        """Find out what a stream is for and let the handler for it work. Whatever goes wrong ends the stream: left to
        the library, it would end the host."""
        try:
            communicator = BoundedCommunicator(stream)
            protocol, handler = await self._host.get_mux().negotiate(communicator, NEGOTIATION_S)
            if protocol is not None and handler is not None:
                stream.set_protocol(protocol)
                await handler(stream)
                return
        except Exception:
            log.debug("a stream of %s failed", stream.muxed_conn.peer_id, exc_info=True)
        with contextlib.suppress(BaseLibp2pError):
            await stream.reset()

    async def connected(self, network: INetwork, conn: INetConn) -> None:
        """Noise and yamux are agreed on: the peer is known by its key."""
        if isinstance(conn.muxed_conn, Yamux):
            self._sockets.proven(conn.muxed_conn.get_remote_address())

    async def disconnected(self, network: INetwork, conn: INetConn) -> None:
        """Forget what identify learned of the peer."""
        with contextlib.suppress(BaseLibp2pError, KeyError):  # PeerStoreError is the latter only
            self._host.get_peerstore().clear_peerdata(conn.muxed_conn.peer_id)

    async def opened_stream(self, network: INetwork, stream: INetStream) -> None:
        pass

    async def closed_stream(self, network: INetwork, stream: INetStream) -> None:
        pass

    async def listen(self, network: INetwork, multiaddr: Multiaddr) -> None:
        pass

    async def listen_close(self, network: INetwork, multiaddr: Multiaddr) -> None:
        pass
