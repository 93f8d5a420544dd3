"""Which bearers this node's configuration asks for. Only what is configured is imported."""

from transports.coap.settings import CoapSettings
from transports.interface import Transport
from transports.registry import Registry
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


def open_bearers(config: Config) -> dict[str, Transport]:
    """A transport for each bearer that is switched on, by name."""
    settings = {"coap": coap_settings(config)} if config.coap.enabled else {}
    registry = Registry()
    return {name: registry.factory(name)(setting) for name, setting in settings.items()}
