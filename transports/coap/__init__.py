"""The CoAP bearer: plain UDP, no infrastructure, found by multicast (RFC 7252, 6690, 7641, 7959, 8132)."""

from transports.coap.address import InvalidAddress
from transports.coap.datagrams import PortTaken
from transports.coap.probe import probe
from transports.coap.settings import CoapSettings, InvalidSettings, Pace
from transports.coap.transport import CoapTransport

__all__ = [
    "CoapSettings",
    "CoapTransport",
    "InvalidAddress",
    "InvalidSettings",
    "Pace",
    "PortTaken",
    "probe",
]
