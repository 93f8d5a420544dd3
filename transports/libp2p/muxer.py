"""yamux as py-libp2p has it, with the bounds that it lacks: it takes as many streams as a peer opens and keeps as many
bytes as a peer sends, beyond the window that was granted."""

import trio

from transports.libp2p.library import ID, IMuxedConn, IMuxedStream, ISecureConn, MuxerMultistream, Yamux

MAX_STREAMS = 32
"""Open at once in one connection: one of ours, one of gossip each way, and some that identify, ping or ask."""
MAX_BUFFERED_BYTES = 1_048_576
"""Received in one connection and not yet read: four windows of 256 KiB."""


class BoundedYamux(Yamux):
    """A stream too many is reset; a peer that sends more than it may loses its connection."""

    async def accept_stream(self) -> IMuxedStream:
        while True:
            stream = await super().accept_stream()
            if len(self.streams) <= MAX_STREAMS:
                return stream
            await stream.reset()

    async def _read_data_body(self, length: int) -> bytes:
        if length + sum(map(len, self.stream_buffers.values())) > MAX_BUFFERED_BYTES:
            raise trio.TooSlowError  # of all errors, the one after which the library lets go of the whole connection
        return await super()._read_data_body(length)


class BoundedMuxers(MuxerMultistream):
    """Makes what it was given, where the library's makes its own yamux whatever it was given."""

    async def new_conn(self, conn: ISecureConn, peer_id: ID) -> IMuxedConn:
        muxer = await self.select_transport(conn)
        return muxer(conn, peer_id)
