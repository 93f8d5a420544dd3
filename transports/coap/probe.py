"""What stands in CoAP's way on this machine, in sentences for the person who has to remove it."""

import asyncio
import contextlib
import secrets
import socket

from transports.coap.address import Peer
from transports.coap.datagrams import Counters, UdpSocket, Unreachable, Via, has_ipv6, open_own
from transports.coap.multicast import Path, open_asker, open_listener, paths
from transports.coap.settings import CoapSettings
from transports.errors import LocalTransportError
from transports.finding import Finding

ECHO_MS = 500
"""How long a datagram to a group may take to come back to this machine; it takes well under a millisecond."""

PROBE_BYTES = 16
"""A random word behind a version that CoAP doesn't have: other nodes drop it (RFC 7252, 3)."""

_CONNECT = "connect a network that passes multicast, or dial peers by address"


async def probe(settings: CoapSettings) -> list[Finding]:
    """Look at everything that CoAP needs here; never raises for what it finds, leaves nothing open."""
    return [_port(settings), _ipv6(settings), *await _groups(settings)]


def _port(settings: CoapSettings) -> Finding:
    try:
        sock = open_own(settings)
    except LocalTransportError as error:
        sentence, _, remedy = str(error).partition(": ")
        return Finding("port", False, sentence, remedy or None)
    with sock:
        host, port = sock.getsockname()[:2]
        return Finding("port", True, f"UDP port {port} on {host} is free")


def _ipv6(settings: CoapSettings) -> Finding:
    if has_ipv6():
        return Finding("ipv6", True, "this machine has IPv6")
    if settings.loopback or ":" not in settings.serving_host:
        return Finding("ipv6", True, "this machine has no IPv6, and the settings don't need it")
    remedy = "switch IPv6 on if vehicles without IPv4 are to find this node; otherwise nothing"
    return Finding("ipv6", False, "this machine has no IPv6: CoAP uses IPv4 alone", remedy)


async def _groups(settings: CoapSettings) -> list[Finding]:
    if not settings.groups:
        return [Finding("multicast", True, "discovery is switched off: peers must be dialled by address")]
    try:
        found = paths(settings)
    except LocalTransportError as error:
        return [Finding("multicast", False, str(error), "name interfaces that `ip address` shows")]
    looked = [(path, await _group(path, settings)) for path in found]
    works = any(finding.ok for _, finding in looked)
    # One that is down or a tunnel is no trouble while another works, unless the owner asked for it by name.
    told = [finding for path, finding in looked if finding.ok or not works or path.interface in settings.interfaces]
    return told or [Finding("multicast", False, "no interface can carry multicast", _CONNECT)]


async def _group(path: Path, settings: CoapSettings) -> Finding:
    """Send a word to the group and listen for it: what the kernel lets through in both directions."""
    where = f"multicast to {path.group} on {path.interface}"
    try:
        listening = open_listener(path, settings.discovery_port)
    except LocalTransportError as error:
        sentence, _, remedy = str(error).partition(": ")
        return Finding("multicast", False, sentence, remedy)
    asking = open_asker(path, settings)
    with contextlib.ExitStack() as stack:
        for sock in (listening, asking):
            if sock is not None:
                stack.enter_context(sock)
        if listening is None or asking is None:
            return Finding("multicast", False, f"{where} is not possible", _CONNECT)
        heard = await _echo(listening, asking, path.destination(settings.discovery_port))
    if heard:
        return Finding("multicast", True, f"{where} works")
    return Finding("multicast", False, f"{where} does not come back", _CONNECT)


async def _echo(listening: socket.socket, asking: socket.socket, group: Peer) -> bool:
    word, heard = b"\xff" + secrets.token_bytes(PROBE_BYTES), asyncio.Event()

    def received(datagram: bytes, _peer: Peer, _via: Via | None) -> None:
        if datagram == word:
            heard.set()

    listener, asker = UdpSocket(listening, Counters()), UdpSocket(asking, Counters())
    try:
        listener.start(received)
        asker.send(word, group)
        async with asyncio.timeout(ECHO_MS / 1000):
            await heard.wait()
    except (Unreachable, TimeoutError):
        return False
    finally:
        listener.close()
        asker.close()
    return True
