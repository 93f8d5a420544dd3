import pytest

from transports.interface import Transport
from v2xnode.bearers import coap_settings, open_bearers
from v2xnode.config import parse_config


def test_coap_is_what_a_node_has_by_default() -> None:
    bearers = open_bearers(parse_config("[coap]\nloopback = true\n"))
    assert list(bearers) == ["coap"]
    assert isinstance(bearers["coap"], Transport)


def test_a_bearer_that_is_switched_off_is_not_made() -> None:
    assert open_bearers(parse_config("[coap]\nenabled = false\n")) == {}


@pytest.mark.parametrize(
    ("text", "interfaces", "host"), [("", (), None), ('interface = "lo"\nhost = "::1"', ("lo",), "::1")]
)
def test_an_empty_setting_means_every_one(text: str, interfaces: tuple[str, ...], host: str | None) -> None:
    settings = coap_settings(parse_config(f"[coap]\n{text}\n"))
    assert (settings.interfaces, settings.host) == (interfaces, host)
