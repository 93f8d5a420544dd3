"""Who else is on the local network, by multicast DNS as libp2p uses it (libp2p specs, discovery/mdns.md). A hint only:
whoever is named is asked before he is believed.

The library's own is not used: it calls back through one object for the whole process, in a thread, and can't be
silent.
"""

import asyncio
import contextlib
import ipaddress
import logging
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager

import ifaddr
from zeroconf import Error, ServiceInfo, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from transports.libp2p.address import InvalidAddress, PeerAddress, parse_address

SERVICE = "_p2p._udp.local."
ADDRESS_PREFIX = b"dnsaddr"
MAX_NAMES = 64
"""Services on the local network that we know of; then the oldest goes of which no address is known, and if there is
none, the new one is not heard."""
MAX_ADDRESSES = 4
"""Of one service; a peer that serves on more networks is reached on one of these."""
MAX_TEXT_BYTES = 1_300
"""Of one service's text record."""
RESOLVE_MS = 1_500
NAME_BYTES = 16
"""The name says nothing: it is random at each start."""
FOREIGN = (Error, OSError)
log = logging.getLogger(__name__)


class Surroundings:
    """What multicast DNS told, and what we tell."""

    def __init__(self, zeroconf: AsyncZeroconf, own: Iterable[PeerAddress]) -> None:
        self._zeroconf = zeroconf
        self._own = tuple(own)[:MAX_ADDRESSES]
        self._name = f"{secrets.token_hex(NAME_BYTES)}.{SERVICE}"
        self._names: OrderedDict[str, tuple[PeerAddress, ...]] = OrderedDict()
        """With the addresses behind each; none until it is resolved, or when it is the name of nobody."""
        self._resolving: dict[str, asyncio.Task[None]] = {}
        self._news = asyncio.Event()
        self._wanted = False
        self._changed = asyncio.Event()

    def show(self, shown: bool) -> None:
        """Whether others may know that we are here."""
        self._wanted = shown
        self._changed.set()

    async def peers(self) -> AsyncIterator[PeerAddress]:
        """Everybody who is known, and whoever turns up while this is iterated over; it has no end. A peer may come
        again under another address."""
        for name in [name for name, addresses in self._names.items() if not addresses]:
            self._resolve(name)
        given: set[PeerAddress] = set()
        while True:
            news = self._news
            known = {address: None for addresses in self._names.values() for address in addresses}
            for address in known:
                if address not in given:
                    yield address
            given = set(known)
            await news.wait()

    def heard(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        """Called by the browser, on the event loop."""
        if state_change is ServiceStateChange.Removed:
            self._forget(name)
        elif name != self._name:
            self._names[name] = self._names.pop(name, ())
            if len(self._names) > MAX_NAMES:
                self._forget(next((old for old, addresses in self._names.items() if not addresses), name))
            self._resolve(name)

    def _forget(self, name: str) -> None:
        self._names.pop(name, None)
        if name in self._resolving:
            self._resolving.pop(name).cancel()

    def _resolve(self, name: str) -> None:
        """All at the same time: a name of nobody takes as long as it may."""
        if name in self._names and name not in self._resolving:
            task = self._resolving[name] = asyncio.create_task(self._learn(name))
            task.add_done_callback(lambda done: self._resolved(name, done))

    def _resolved(self, name: str, task: asyncio.Task[None]) -> None:
        if self._resolving.get(name) is task:
            del self._resolving[name]

    async def _learn(self, name: str) -> None:
        info = AsyncServiceInfo(SERVICE, name)
        with contextlib.suppress(*FOREIGN):
            if await info.async_request(self._zeroconf.zeroconf, RESOLVE_MS) and name in self._names:
                self._names[name] = tuple(addresses_in(info.text or b""))
                self._news.set()
                self._news = asyncio.Event()

    async def aclose(self) -> None:
        """Resolve nothing any more."""
        tasks = list(self._resolving.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def keep_shown(self) -> None:
        """Tell the network what `show` wants; until cancelled."""
        info = self._info()
        shown = False
        try:
            while True:
                self._changed.clear()
                if self._wanted is not shown:
                    shown = self._wanted
                    await self._tell(info, shown)
                await self._changed.wait()
        except FOREIGN as problem:
            log.warning("multicast DNS: nobody will find us by it: %s", problem)

    async def _tell(self, info: ServiceInfo, shown: bool) -> None:
        if shown:
            await (await self._zeroconf.async_register_service(info, allow_name_change=True))
        else:
            await (await self._zeroconf.async_unregister_service(info))

    def _info(self) -> ServiceInfo:
        host = self._name.partition(".")[0]
        hosts = [ipaddress.ip_address(address.host).packed for address in self._own]
        port = self._own[0].port if self._own else 0
        return ServiceInfo(
            SERVICE, self._name, port, properties=text_of(self._own), server=f"{host}.local.", addresses=hosts
        )


@asynccontextmanager
async def looking(own: Iterable[PeerAddress]) -> AsyncIterator[Surroundings | None]:
    """Listen on the networks of our own addresses. None, and a line in the log, where that can't be done."""
    own = tuple(own)
    try:
        zeroconf = AsyncZeroconf(interfaces=sorted({address.host for address in own}))
    except FOREIGN as problem:
        log.warning("multicast DNS does not work here: %s", problem)
        yield None
        return
    try:
        surroundings = Surroundings(zeroconf, own)
        browser = AsyncServiceBrowser(zeroconf.zeroconf, SERVICE, handlers=[surroundings.heard])
        showing = asyncio.create_task(surroundings.keep_shown())
        try:
            yield surroundings
        finally:
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)
            await browser.async_cancel()
            await surroundings.aclose()
    finally:
        await zeroconf.async_close()


def own_hosts(host: str) -> list[str]:
    """The numeric addresses under which others reach one who listens on `host`."""
    if not ipaddress.ip_address(host).is_unspecified:
        return [host]
    found = [str(ip.ip) for adapter in ifaddr.get_adapters() for ip in adapter.ips if ip.is_IPv4]
    return [ip for ip in found if not ipaddress.ip_address(ip).is_loopback] or ["127.0.0.1"]


def text_of(addresses: Iterable[PeerAddress]) -> dict[str, str]:
    """The strings of the text record."""
    return {f"dnsaddr{number or ''}": str(address) for number, address in enumerate(addresses)}


def addresses_in(text: bytes) -> Iterator[PeerAddress]:
    """The addresses in a text record (RFC 6763, 6.1: strings, each behind a byte of length) that we can dial."""
    at = found = 0
    text = text[:MAX_TEXT_BYTES]
    while at < len(text) and found < MAX_ADDRESSES:
        string = text[at + 1 : at + 1 + text[at]]
        at += 1 + text[at]
        key, _, value = string.partition(b"=")
        if key.lower().startswith(ADDRESS_PREFIX):
            try:
                yield parse_address(value.decode("ascii"))
                found += 1
            except (InvalidAddress, UnicodeDecodeError):
                continue
