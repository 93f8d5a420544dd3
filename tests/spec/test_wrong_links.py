"""What is wrong in these vectors is the one thing named: without it the same checks let them pass."""

from dataclasses import replace

from ledger.entry import Wire, to_wire
from tests.spec.trade import CLIENT, PROVIDER, REQUEST_ID, counted, play
from tests.spec.wrong import code_of
from tests.spec.wrong_links import frames, handshakes, records
from transports.secure import Dialer
from v2xnode.envelope import pack


def test_a_record_opens_once() -> None:
    given = records()["opened_before"]
    assert code_of("record", {**given, "records": given["records"][:1]}) == ""
    assert code_of("record", given) == "replay"


def test_records_at_the_edge_of_the_window() -> None:
    given = records()["older_than_the_window"]
    newest, oldest = given["records"]
    assert code_of("record", {**given, "records": [oldest, newest]}) == ""
    assert code_of("record", given) == "replay"


def test_openings_are_heard() -> None:
    known = Dialer(CLIENT.seed, remote=PROVIDER.public, entropy=counted(21)).first(b"\x80")
    question, changed = handshakes()["third_message_changed"]
    third = changed[:-1] + bytes([changed[-1] ^ 1])
    for sent in ([known], [question], [question, third]):
        assert code_of("handshake", {"frames": [frame.hex() for frame in sent]}) == ""


def test_items_are_read() -> None:
    trade = play()
    given = {"epoch": trade.entries[0].signed.entry.epoch.hex(), "request_id": REQUEST_ID.hex()}
    for item in (trade.letters[0], replace(trade.entries[0], brief=False)):
        assert code_of("frame", {**given, "frame": pack([item]).hex()}) == ""
    full: Wire = to_wire(trade.entries[0].signed, with_prev=True)
    assert full[:4] == frames(trade)["body_that_names_the_receiver"][0][:4]
