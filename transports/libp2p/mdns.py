"""Who else is on the local network, by multicast DNS as libp2p uses it (libp2p specs, discovery/mdns.md). A hint only:
whoever is named is asked before he is believed.

The library's own is not used: it calls back through one object for the whole process, in a thread, and can't be
silent.
"""

import asyncio
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
"""Services on the local network that we know of; then the oldest goes."""
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
        self._names: OrderedDict[str, None] = OrderedDict()
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
        done: set[str] = set()
        while True:
            self._news.clear()
            for name in [name for name in self._names if name not in done]:
                done.add(name)
                for address in await self._addresses(name):
                    yield address
            done &= set(self._names)
            await self._news.wait()

    async def _addresses(self, name: str) -> list[PeerAddress]:
        info = AsyncServiceInfo(SERVICE, name)
        try:
            found = await info.async_request(self._zeroconf.zeroconf, RESOLVE_MS)
        except FOREIGN:
            return []
        return list(addresses_in(info.text or b"")) if found else []

    def heard(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        """Called by the browser, on the event loop."""
        self._names.pop(name, None)
        if state_change is not ServiceStateChange.Removed and name != self._name:
            self._names[name] = None
            if len(self._names) > MAX_NAMES:
                self._names.popitem(last=False)
            self._news.set()

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
