from v2xnode.links import Traffic
from v2xnode.trading.set_ups import MAX_SET_UPS, SetUps


def test_a_set_up_is_told_from_the_first_byte_to_start() -> None:
    known = SetUps()
    known.begin(b"one", 1_000, "memory")
    known.started(b"one", 1_250, Traffic(3, 700))
    assert known.as_json(b"one") == {
        "bearer": "memory", "setup_ms": 250, "setup_round_trips": 3, "setup_bytes": 700,
    }  # fmt: skip


def test_only_the_newest_are_remembered() -> None:
    known = SetUps()
    for number in range(MAX_SET_UPS + 1):
        known.begin(number.to_bytes(2, "big"), 0, "memory")
    known.started(b"\x00\x00", 5, Traffic())
    assert known.as_json(b"\x00\x00") == {}
    assert known.as_json(MAX_SET_UPS.to_bytes(2, "big"))["setup_ms"] == 0
