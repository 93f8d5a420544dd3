"""HCI between a node and the air (H4 framing over a local stream), with its octets counted."""

import asyncio
import logging
from collections.abc import Callable

from bumble.core import InvalidPacketError
from bumble.transport.common import PacketParser, TransportSink

from transports.ble.virtual.streams import CHUNK_BYTES

_LOG = logging.getLogger(__name__)


class Wire:
    """Both of bumble's ends of a transport: where its host hears (source) and says (sink). went: the air is gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, went: Callable[[], None]) -> None:
        self._went = went
        self._reader = reader
        self._writer = writer
        self._parser = PacketParser()
        self._host: TransportSink | None = None
        self.terminated: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent = 0
        self.received = 0

    def set_packet_sink(self, sink: TransportSink) -> None:
        self._host = sink
        self._parser.set_packet_sink(sink)

    def on_packet(self, packet: bytes) -> None:
        """From our host. What it may have on its way is bounded by HCI's own flow control."""
        if not self._writer.is_closing():
            self._writer.write(packet)
            self.sent += len(packet)

    async def run(self) -> None:
        """Until the air is gone."""
        try:
            while data := await self._reader.read(CHUNK_BYTES):
                self.received += len(data)
                self._parser.feed_data(data)
        except (OSError, InvalidPacketError) as problem:
            _LOG.warning("the virtual air is gone: %s", problem)
        self.lose()

    def lose(self) -> None:
        """Tell the host, whose links are lost; idempotent."""
        if not self.terminated.done():
            self.terminated.set_result(None)
            lost = getattr(self._host, "on_transport_lost", None)
            if lost is not None:
                lost()
            self._went()
