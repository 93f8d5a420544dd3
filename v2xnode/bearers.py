"""Which bearers this node's configuration asks for. Only what is configured is imported."""

from collections.abc import Callable

from transports.ble.settings import BleSettings
from transports.coap.settings import CoapSettings
from transports.interface import Transport
from transports.libp2p.settings import SEED_BYTES, Libp2pSettings
from transports.registry import Registry, UnknownBearer
from v2xnode.config import Config


def coap_settings(config: Config) -> CoapSettings:
    """The CoAP bearer's settings. Raises LocalTransportError for values that contradict each other."""
    coap = config.coap
    return CoapSettings(
        host=coap.host or None,
        port=coap.port,
        interfaces=(coap.interface,) if coap.interface else (),
        loopback=coap.loopback,
        discovery_port=coap.discovery_port,
    )


def ble_settings(config: Config) -> BleSettings:
    """The BLE bearer's settings. Raises LocalTransportError for values that contradict each other."""
    ble = config.ble
    return BleSettings(
        adapter=ble.adapter or None, peripheral_adapter=ble.peripheral_adapter or None, air=ble.air or None
    )


def libp2p_settings(config: Config, seed: bytes | None) -> Libp2pSettings:
    """The libp2p bearer's settings. seed: the node's key, which a site that is fixed shows as its peer id.

    Raises LocalTransportError for values that contradict each other.
    """
    libp2p = config.libp2p
    return Libp2pSettings(
        host=libp2p.host or None,
        port=libp2p.port,
        seed=seed if libp2p.fixed else None,
        bootstrap=tuple(libp2p.bootstrap),
        mdns=libp2p.mdns,
        microgrid=libp2p.microgrid or None,
    )


def check_bearers(config: Config) -> None:
    """Raises LocalTransportError for settings of a bearer that contradict each other, whether it is switched on or not;
    nothing is opened or imported. Raises UnknownBearer for a preference of one that is not installed."""
    for name in config.node.prefer:
        if name not in Registry().names:
            known = ", ".join(Registry().names)
            raise UnknownBearer(f"[node] prefer names {name!r:.40}, which is no bearer; installed are: {known}")
    coap_settings(config)
    ble_settings(config)
    libp2p_settings(config, bytes(SEED_BYTES))


def open_bearers(config: Config, seed: bytes | None = None) -> dict[str, Transport]:
    """A transport for each bearer that is switched on, by name. seed: the node's key, where there is one.

    Raises LocalTransportError for settings that contradict each other, and for a bearer whose extra is not installed.
    """
    wanted: dict[str, Callable[[], object]] = {}
    if config.coap.enabled:
        wanted["coap"] = lambda: coap_settings(config)
    if config.ble.enabled:
        wanted["ble"] = lambda: ble_settings(config)
    if config.libp2p.enabled:
        wanted["libp2p"] = lambda: libp2p_settings(config, seed)
    check_bearers(config)
    registry = Registry()
    return {name: registry.factory(name)(settings()) for name, settings in wanted.items()}
