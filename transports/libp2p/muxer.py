"""yamux as py-libp2p has it, with the bounds that it lacks: it takes as many streams as a peer opens and keeps as many
bytes as a peer sends, beyond the window that was granted."""

from transports.libp2p.library import Yamux

MAX_STREAMS = 32
"""Open at once in one connection: one of ours, one of gossip each way, and some that identify, ping or ask."""
MAX_BUFFERED_BYTES = 1_048_576
"""Received in one connection and not yet read: four windows of 256 KiB."""


class BoundedYamux(Yamux):
    """A peer that goes beyond the bounds loses its connection."""

    async def _read_data_body(self, length: int) -> bytes:
        if length + sum(map(len, self.stream_buffers.values())) > MAX_BUFFERED_BYTES or len(self.streams) > MAX_STREAMS:
            await self.secured_conn.close()  # what is read next is the end
        return await super()._read_data_body(length)
