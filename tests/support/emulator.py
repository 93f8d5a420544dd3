"""A slow, lossy link between two network namespaces, in user space: kernels without netem are common.

As a program: `python -m tests.support.emulator NAMESPACE NAMESPACE LINK`, the namespaces by their paths, the link as
JSON. It says `up` once both ends have an interface, and goes when its standard input ends, so with whoever started it.
"""

import asyncio
import fcntl
import json
import os
import random
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from tests.support.commands import PROJECT, environment
from tests.support.netns import Namespace, entered, namespace

INTERFACE = "link0"
ADDRESSES = "10.8.0.1", "10.8.0.2"
"""Of the two ends, on a network of their own."""
MTU = 1_280
"""IPv6's least, as on 6LoWPAN and many a tunnel."""

_TUNSETIFF = 0x4004_54CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_UDP = 17


@dataclass(frozen=True, slots=True, kw_only=True)
class BadLink:
    """A link as its packets feel it, alike in both directions.

    Each packet first waits until those before it are out at rate_bps, then travels for delay_ms; of a thousand,
    loss_permille are lost on the way. What finds more than queue_bytes waiting is dropped. seed: of the losses.
    """

    rate_bps: int = 10_000
    delay_ms: int = 300
    loss_permille: int = 0
    queue_bytes: int = 20_000
    seed: int = 1


class Queue:
    """One direction, as pure bookkeeping: when a packet that comes now leaves at the other end, if it does."""

    def __init__(self, link: BadLink, chance: random.Random) -> None:
        self._link = link
        self._chance = chance
        self._free_at_us = 0

    def arrival_us(self, size: int, now_us: int) -> int | None:
        """None for a packet that never arrives: a lost one has used the air all the same, a dropped one has not."""
        begins_us = max(now_us, self._free_at_us)
        waiting_bytes = (begins_us - now_us) * self._link.rate_bps // 8_000_000
        if waiting_bytes + size > self._link.queue_bytes:
            return None
        self._free_at_us = begins_us + size * 8_000_000 // self._link.rate_bps
        if self._chance.randrange(1000) < self._link.loss_permille:
            return None
        return self._free_at_us + self._link.delay_ms * 1000


class Direction:
    """Takes packets from one interface to the other."""

    def __init__(self, source: int, sink: int, queue: Queue) -> None:
        self._source = source
        self._sink = sink
        self._queue = queue
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(source, self._read)

    def _read(self) -> None:
        packet = os.read(self._source, 65_536)
        if not _is_udp(packet):  # the kernel's own chatter about neighbours and routers: no part of the link's load
            return
        arrival_us = self._queue.arrival_us(len(packet), int(self._loop.time() * 1e6))
        if arrival_us is not None:
            self._loop.call_at(arrival_us / 1e6, os.write, self._sink, packet)


def _is_udp(packet: bytes) -> bool:
    return packet[0] >> 4 == 4 and packet[9] == _UDP


def _interface(namespace_path: str) -> int:
    """A new TUN interface in a namespace; its packets come and go through the returned file."""
    with entered(namespace_path):
        file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(file, _TUNSETIFF, struct.pack("16sH14x", INTERFACE.encode(), _IFF_TUN | _IFF_NO_PI))
    return file


async def emulate(namespace_paths: tuple[str, str], link: BadLink) -> None:
    """Join the two until standard input ends."""
    ends = _interface(namespace_paths[0]), _interface(namespace_paths[1])
    chance, over = random.Random(link.seed), asyncio.Event()
    for source, sink in (ends, ends[::-1]):
        Direction(source, sink, Queue(link, chance))
    asyncio.get_running_loop().add_reader(sys.stdin, over.set)
    print("up", flush=True)
    await over.wait()


@contextmanager
def joined(link: BadLink) -> Iterator[tuple[Namespace, Namespace]]:
    """Two namespaces with nothing between them but `link`; their addresses are `ADDRESSES`."""
    with namespace() as one, namespace() as other, _emulator((one, other), link):
        for at, address in zip((one, other), ADDRESSES, strict=True):
            at.do(
                f"ip address add {address}/24 dev {INTERFACE}",
                f"ip link set {INTERFACE} mtu {MTU} up",
            )
        yield one, other


@contextmanager
def _emulator(ends: tuple[Namespace, Namespace], link: BadLink) -> Iterator[None]:
    words = [sys.executable, "-m", "tests.support.emulator", *(end.path for end in ends), json.dumps(asdict(link))]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(), cwd=PROJECT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n", "the emulator did not start"
        yield


if __name__ == "__main__":
    asyncio.run(emulate((sys.argv[1], sys.argv[2]), BadLink(**json.loads(sys.argv[3]))))
