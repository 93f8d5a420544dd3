"""The counting of bytes and round trips, on a small trade."""

from dataclasses import replace

from benchmarks.bytes_and_round_trips import Recorded, alone, record, tables
from benchmarks.wire import BARE, KEYS, Datagram, Tap


def passed(name: str, to_provider: bool, data: bytes) -> tuple[str, Datagram]:
    return name, Datagram(to_provider, data)


SET_UP = (
    passed("Hello + Request", True, b"hello"),
    passed("Hello + Offer", False, b"offer"),
    passed("Accept + Ready", True, b"accept"),
    passed(BARE, False, b"ack"),
    passed("Confirm + Start", False, b"start"),
)


def test_a_set_up_ends_with_the_first_start() -> None:
    later = passed("Status + Start", False, b"again")
    trade = Recorded((*SET_UP, passed("Subscribe", True, b"subscribe"), later))
    assert trade.set_up() == list(SET_UP)
    assert trade.round_trips == 2


def test_a_repeated_frame_is_no_round_trip_but_its_bytes_count() -> None:
    repeated = Recorded((*SET_UP[:3], SET_UP[2], *SET_UP[3:]))
    assert repeated.round_trips == 2
    assert len(repeated.set_up()) == len(SET_UP) + 1


def test_a_datagram_is_named_by_the_frame_that_it_ends_with() -> None:
    tap = Tap()
    tap.sent(b"frame")
    assert tap.name(Datagram(True, b"header frame")) == KEYS
    assert tap.name(Datagram(True, b"frame?")) == BARE


async def test_a_real_trade_is_counted_to_the_last_byte() -> None:
    strangers, known, tap = await record(energy_wh=2, speed=10)
    assert (strangers.round_trips, known.round_trips) == (3, 2)
    assert [name for name, _ in known.set_up()] == [
        "Hello + Request",
        "Hello + Offer",
        "Accept + Ready",
        "Confirm + Start",
    ]
    assert all(each.data for _, each in known.named)

    sizes = await alone(tap.items)
    first, second = (len(each.data) for _, each in known.set_up()[2:])
    assert sizes["Accept"] < first < sizes["Accept"] + sizes["Ready"], "a frame of two saves one of the headers"
    assert sizes["Confirm"] < second < sizes["Confirm"] + sizes["Start"]
    assert sizes["Accept, entry before it not held"] - sizes["Accept"] == 33, "a hash and one byte of its length"

    whole = tables(strangers, known, sizes)[2].rows
    assert whole[-1].ours == sum(row.ours for row in whole[:-1])
    assert replace(whole[-1], what="").ours == sum(len(each.data) for _, each in known.named)
