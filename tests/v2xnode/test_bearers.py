import sys

import pytest

from transports.errors import LocalTransportError
from transports.interface import Transport
from v2xnode.bearers import ble_settings, coap_settings, libp2p_settings, open_bearers
from v2xnode.config import parse_config

ALL = "[ble]\nenabled = true\n[libp2p]\nenabled = true\n"


def test_coap_is_what_a_node_has_by_default() -> None:
    bearers = open_bearers(parse_config("[coap]\nloopback = true\n"))
    assert list(bearers) == ["coap"]
    assert isinstance(bearers["coap"], Transport)


def test_a_bearer_that_is_switched_off_is_not_made() -> None:
    assert open_bearers(parse_config("[coap]\nenabled = false\n")) == {}


def test_all_that_are_switched_on_are_made_under_their_names() -> None:
    pytest.importorskip("libp2p", reason="py-libp2p is not installed: v2xnode[libp2p]")
    bearers = open_bearers(parse_config(ALL))
    assert {name: each.name for name, each in bearers.items()} == {"coap": "coap", "ble": "ble", "libp2p": "libp2p"}


def test_a_bearer_whose_library_is_missing_says_which_extra_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith("transports.libp2p.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "trio", None)
    with pytest.raises(LocalTransportError, match=r"v2xnode\[libp2p\]") as refused:
        open_bearers(parse_config(ALL))
    assert refused.value.code == "bearer_unavailable"


@pytest.mark.parametrize(
    ("text", "interfaces", "host"), [("", (), None), ('interface = "lo"\nhost = "::1"', ("lo",), "::1")]
)
def test_an_empty_setting_means_every_one(text: str, interfaces: tuple[str, ...], host: str | None) -> None:
    settings = coap_settings(parse_config(f"[coap]\n{text}\n"))
    assert (settings.interfaces, settings.host) == (interfaces, host)


def test_a_radio_is_the_systems_first_unless_it_is_named() -> None:
    assert ble_settings(parse_config("")).adapter is None
    named = ble_settings(parse_config('[ble]\nadapter = "hci0"\nperipheral_adapter = "hci1"\n'))
    assert (named.adapter, named.peripheral_adapter, named.air) == ("hci0", "hci1", None)


def test_only_a_site_that_is_fixed_shows_its_nodes_key_to_libp2p() -> None:
    seed = bytes(range(32))
    for fixed, shown in (("true", seed), ("false", None)):
        config = parse_config(f'[libp2p]\nfixed = {fixed}\nport = 4001\nmicrogrid = "oakwood"\n')
        settings = libp2p_settings(config, seed)
        assert (settings.seed, settings.port, settings.microgrid) == (shown, 4001, "oakwood")
    assert libp2p_settings(config, None).bootstrap == ()


def test_settings_that_can_not_be_are_told_before_anything_is_opened() -> None:
    config = parse_config('[libp2p]\nenabled = true\nbootstrap = ["somewhere"]\n')
    with pytest.raises(LocalTransportError, match="somewhere"):
        open_bearers(config)


def test_a_preference_for_what_is_no_bearer_is_refused() -> None:
    with pytest.raises(LocalTransportError, match="'wifi'") as refused:
        open_bearers(parse_config('[node]\nprefer = ["coap", "wifi"]\n'))
    assert refused.value.code == "unknown_bearer"
