"""The budgets of docs/protocol.md on the vectors: UDP payload, with CoAP's own bytes and the seal."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from ledger import cbor
from market.errors import Reason
from market.terms import Alive, PowerState, Start, Status, Stop
from tests.spec.trade import PROVIDER, TIME_OF_USE
from tests.spec.vectors import FOLDER
from transports.coap.address import TRADE_PATH
from transports.coap.packet import TOKEN_BYTES, Code, Kind, Packet, encode
from v2xnode.envelope import Plain, pack, sign_letter

TOKEN = bytes(TOKEN_BYTES)
SEAL = bytes(2 + 1 + 16)
"""Link id, counter, tag: records of a link's first 64."""
HOUR_S = 3_600
HOURS_SEAL = bytes(2 + 2 + 16)
"""Of its first 16,384."""
PREV = 2
"""Its place in an entry on the wire."""
SET_UP = {True: 743, False: 888}
"""IK; XX, which has no figure of the deliverable's to keep to."""


def asked(sealed: bytes) -> int:
    return len(encode(Packet(Kind.CONFIRMABLE, Code.POST, 1, TOKEN, sealed, path=(TRADE_PATH,))))


def answered(sealed: bytes) -> int:
    return len(encode(Packet(Kind.ACKNOWLEDGEMENT, Code.CHANGED, 1, TOKEN, sealed)))


def pushed(sealed: bytes) -> int:
    return len(encode(Packet(Kind.NON_CONFIRMABLE, Code.CONTENT, 1, TOKEN, sealed, observe=HOUR_S)))


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def named(vectors: Iterable[Any], name: str) -> Any:
    return next(each for each in vectors if each["name"] == name)


def with_prev(vector: Any) -> bytes:
    """A frame of an entry whose receiver does not hold the one before."""
    frame: Any = cbor.decode(bytes.fromhex(vector["frame_brief"]))
    frame[0][PREV] = bytes.fromhex(vector["prev"])
    return cbor.encode(frame)


@pytest.mark.parametrize(("name", "budget"), [("REQUEST", 150), ("OFFER", 160)])
def test_signed_messages(name: str, budget: int) -> None:
    assert asked(SEAL + bytes.fromhex(named(load("signed.json"), name)["frame"])) <= budget


def test_an_offer_with_a_time_of_use_price() -> None:
    assert answered(SEAL + pack([sign_letter(PROVIDER.signer, TIME_OF_USE)])) <= 200


@pytest.mark.parametrize("name", ["ACCEPT", "CONFIRM"])
def test_the_entries_of_an_agreement(name: str) -> None:
    vector = named(load("entries.json")["entries"], name)
    send = asked if name == "ACCEPT" else answered
    assert send(SEAL + bytes.fromhex(vector["frame_brief"])) <= 115
    assert send(SEAL + with_prev(vector)) <= 150


def test_what_is_said_all_the_time() -> None:
    """After an hour with a Status a second and 40 kWh, the state of charge told as well."""
    status = Status(HOUR_S, 40_000, 49_000, PowerState.DELIVERING, 800)
    assert pushed(HOURS_SEAL + pack([Plain(status)])) <= 54
    assert asked(HOURS_SEAL + pack([Plain(Alive(HOUR_S, 40_000))])) <= 50
    assert answered(HOURS_SEAL + pack([Plain(Start(HOUR_S, bytes(8)))])) <= 54
    assert asked(HOURS_SEAL + pack([Plain(Stop(HOUR_S, Reason.STOPPED_BY_PEER))])) <= 54
    assert answered(HOURS_SEAL + pack([])) <= 40


@pytest.mark.parametrize("known", [True, False], ids=["IK", "XX"])
def test_a_whole_set_up(known: bool) -> None:
    frames = load("handshake_ik.json" if known else "handshake_xx.json")["frames"]
    sizes = [(asked if frame["from"] == "client" else answered)(bytes.fromhex(frame["frame"])) for frame in frames]
    assert len(sizes) == (4 if known else 6)
    assert sum(sizes) <= SET_UP[known], sizes
