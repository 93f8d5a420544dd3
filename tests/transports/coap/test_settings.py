import pytest

from transports.coap.settings import CoapSettings, InvalidSettings, Pace


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": -1},
        {"port": 65_536},
        {"port": 5683},
        {"port": 7000, "discovery_port": 7000},
        {"discovery_port": 0},
        {"host": "car.local"},
        {"host": "224.0.1.187"},
        {"host": "192.0.2.7", "loopback": True},
        {"groups": ("192.0.2.7",)},
        {"groups": ("everybody",)},
        {"loopback": True, "interfaces": ("eth0",)},
    ],
)
def test_settings_that_can_not_work_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidSettings):
        CoapSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"first_wait_ms": 0},
        {"first_wait_ms": 8_001},
        {"spread_permille": -1},
        {"spread_permille": 1_001},
        {"patience_ms": 0},
        {"patience_ms": 600_001},
    ],
)
def test_a_pace_that_can_not_work_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InvalidSettings):
        Pace(**wrong)


def test_loopback_stays_inside_the_machine_and_hurries() -> None:
    inside, outside = CoapSettings(loopback=True), CoapSettings()
    assert (inside.serving_host, outside.serving_host) == ("127.0.0.1", "::")
    assert inside.leisure_ms < outside.leisure_ms
    assert CoapSettings(host="127.0.0.2", loopback=True).serving_host == "127.0.0.2"
