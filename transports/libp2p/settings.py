"""How a node takes part in libp2p: where it listens, as whom, and whom it asks."""

import ipaddress
import re
from dataclasses import dataclass, field

from transports.errors import LocalTransportError
from transports.libp2p.address import InvalidAddress, parse_address

SEED_BYTES = 32
MAX_BOOTSTRAP = 32
"""Each is dialled at every look around."""
_MICROGRID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,62}")


class InvalidSettings(LocalTransportError):
    """The settings contradict themselves."""

    code = "libp2p_settings"


@dataclass(frozen=True, slots=True)
class Libp2pSettings:
    """host: the numeric address to listen on; None is every IPv4 address of the machine. port: 0 for any free one.

    seed: the 32 bytes of an Ed25519 key, which the peer id follows from. Fixed sites and coordinators give their node
    key: their address may be published. A vehicle gives None and gets a random key at each start, so that nobody can
    follow it by its peer id.
    bootstrap: addresses of peers that a look around asks. mdns: whether to be found, and to look, by multicast DNS on
    the local network. microgrid: the group whose notices are passed on (`/v2x/<microgrid>/notices`); None, or no
    seed, and this node does not gossip.
    """

    host: str | None = None
    port: int = 0
    seed: bytes | None = field(default=None, repr=False)
    bootstrap: tuple[str, ...] = ()
    mdns: bool = False
    microgrid: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise InvalidSettings("port is 0 (any free one) to 65,535")
        if self.seed is not None and len(self.seed) != SEED_BYTES:
            raise InvalidSettings(f"the seed of a host key has {SEED_BYTES} bytes")
        if len(self.bootstrap) > MAX_BOOTSTRAP:
            raise InvalidSettings(f"at most {MAX_BOOTSTRAP} bootstrap peers")
        for address in self.bootstrap:
            try:
                parse_address(address)
            except InvalidAddress as problem:
                raise InvalidSettings(f"bootstrap peer {address!r}: {problem}") from None
        if self.microgrid is not None and not _MICROGRID.fullmatch(self.microgrid):
            raise InvalidSettings("a microgrid's name has 1 to 63 letters, digits, points, dashes or underscores")
        self._check_host()

    def _check_host(self) -> None:
        if self.host is None:
            return
        try:
            host = ipaddress.ip_address(self.host)
        except ValueError:
            raise InvalidSettings(f"{self.host!r} is no numeric IPv4 or IPv6 address") from None
        if host.is_multicast:
            raise InvalidSettings(f"{self.host} is a multicast group: nobody can listen there")

    @property
    def listening_host(self) -> str:
        return self.host or "0.0.0.0"  # noqa: S104 - a node that listens nowhere can't be dialled

    @property
    def topic(self) -> str | None:
        """The topic of the microgrid, if this node gossips."""
        return f"/v2x/{self.microgrid}/notices" if self.microgrid and self.seed else None
