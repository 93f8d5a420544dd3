"""Every decoder, given the examples of tests/vectors with some bytes changed: a value that has exactly these bytes, or
one refusal with a code, and never anything else."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import cbor
from ledger.entry import Entry
from ledger.errors import Malformed as NoCbor
from ledger.errors import NotCanonical, TooLarge
from market.errors import TermsInvalid
from market.terms import MESSAGES, from_map, to_map
from tests.hostile.mutations import almost
from tests.spec.trade import CLIENT, PROVIDER, REQUEST_ID
from transports.coap import linkformat, packet
from transports.errors import Malformed, RemoteTransportError, TransportError
from transports.framing import Fragmenter, Reassembler
from transports.handshake import Introduction
from transports.identifier import pack_announcement, unpack_announcement
from transports.interface import MAX_FRAME_BYTES
from transports.secure import Accepted, Acceptor, Dialer, Outcome, Received, Send, Session, Silence, Visibility
from v2xnode.control import _read
from v2xnode.envelope import FrameInvalid, Item, Link, Reading, pack, read, unpack
from v2xnode.errors import UsageError

VECTORS = Path(__file__).parent.parent / "vectors"


def load(name: str) -> Any:
    return json.loads((VECTORS / name).read_text())


def octets(entries: list[dict[str, Any]], *names: str) -> list[bytes]:
    return [bytes.fromhex(each[name]) for each in entries for name in names]


MAPS = octets(load("messages.json"), "map")
PAYLOADS = octets(load("entries.json")["entries"], "payload")
FRAMES = octets(load("entries.json")["entries"], "frame_full", "frame_brief")
SPOKEN = [
    bytes.fromhex(each["payload"])
    for name in ("handshake_ik.json", "handshake_xx.json")
    for each in load(name)["frames"]
    if each["payload"]
]
SHAKES = {name: octets(load(f"handshake_{name}.json")["frames"], "frame") for name in ("ik", "xx")}
REFUSALS = (NoCbor, NotCanonical, TooLarge)
"""All that a codec says to a peer."""
HOSTILE = settings(max_examples=200, deadline=None)


@HOSTILE
@given(almost([*MAPS, *PAYLOADS, *FRAMES]))
def test_cbor_is_the_one_encoding_or_refused_as_the_senders_fault(data: bytes) -> None:
    try:
        value = cbor.decode(data)
    except REFUSALS:
        return
    assert cbor.encode(value) == data


@HOSTILE
@given(almost(PAYLOADS))
def test_an_entry_has_exactly_its_bytes_or_does_not_exist(payload: bytes) -> None:
    try:
        entry = Entry.parse(payload)
    except REFUSALS:
        return
    assert entry.payload == payload


@pytest.mark.parametrize("kind", list(MESSAGES), ids=lambda kind: kind.name)
@settings(max_examples=40, deadline=None)
@given(data=almost(MAPS))
def test_a_message_has_exactly_its_map_or_is_refused_naming_the_field(kind: Any, data: bytes) -> None:
    try:
        raw = cbor.decode(data)
    except REFUSALS:
        return
    try:
        message = from_map(MESSAGES[kind], raw)
    except TermsInvalid:
        return
    assert cbor.encode(to_map(message)) == data


def peer_reads(data: bytes, sender: bytes, receiver: bytes) -> list[Item]:
    context = Reading(receiver, sender, bytes(8), REQUEST_ID, lambda *_: bytes(32), [bytes(32)])
    return [read(raw, context) for raw in unpack(data)]


@HOSTILE
@given(almost([*FRAMES, *SPOKEN]), st.booleans())
def test_a_frame_is_read_or_refused_and_never_with_a_signature_that_does_not_hold(data: bytes, turned: bool) -> None:
    sender, receiver = (CLIENT.public, PROVIDER.public)[:: -1 if turned else 1]
    try:
        items = peer_reads(data, sender, receiver)
    except FrameInvalid:
        return
    assert not any(isinstance(item, Link) for item in items), "a bent entry has no signature that holds"
    assert pack(items) == data


def host(visibility: Visibility) -> Acceptor:
    return Acceptor(bytes([1]) * 32, visibility=visibility, known=lambda key: True, entropy=Random(3).randbytes)


@HOSTILE
@given(st.lists(almost([*SHAKES["ik"], *SHAKES["xx"]]), max_size=6), st.sampled_from(Visibility))
def test_an_acceptor_meets_bent_frames_with_silence_or_its_one_answer(frames: list[bytes], shown: Visibility) -> None:
    acceptor = host(shown)
    for now_ms, frame in enumerate(frames):
        outcome: Outcome = acceptor.receive(frame, "somewhere", now_ms)
        assert not isinstance(outcome, Received), "no bent frame is a record that was sealed"
        assert isinstance(outcome, Silence | Send | Accepted)
        if shown is not Visibility.OPEN:
            assert not isinstance(outcome, Send)
        if isinstance(outcome, Send):
            assert len(outcome.frame) < 3 * len(frame)
    assert acceptor.links + acceptor.half_open <= len(frames)


@pytest.mark.parametrize("remote", [PROVIDER.public, None], ids=["ik", "xx"])
@HOSTILE
@given(data=st.data())
def test_a_dialer_opens_no_link_by_a_bent_answer(remote: bytes | None, data: st.DataObject) -> None:
    dialer = Dialer(bytes([2]) * 32, remote=remote, entropy=Random(2).randbytes)
    question = dialer.first()
    answer = host(Visibility.OPEN).receive(question, "dialer", 0)
    sound = (
        answer.reply(b"offer") if isinstance(answer, Accepted) else answer.frame if isinstance(answer, Send) else b""
    )
    bent = data.draw(almost([sound]).filter(lambda frame: frame != sound))
    with pytest.raises(TransportError) as refusal:
        dialer.receive(bent)
    assert isinstance(refusal.value, RemoteTransportError)
    assert refusal.value.code in ("malformed", "forged", "handshake_refused", "bad_key")


@HOSTILE
@given(st.binary(max_size=60) | almost([b"\x00\x08payload", b"\x01\x40\x40payload"]))
def test_an_introduction_has_exactly_its_bytes_or_is_malformed(data: bytes) -> None:
    try:
        introduction = Introduction.unpack(data)
    except Malformed:
        return
    assert introduction.pack() == data


@HOSTILE
@given(st.binary(max_size=8))
def test_an_announcement_has_exactly_its_bytes_or_is_malformed(data: bytes) -> None:
    try:
        announcement = unpack_announcement(data)
    except Malformed:
        assert len(data) != 6
    else:
        assert pack_announcement(announcement) == data


@HOSTILE
@given(st.lists(almost(Fragmenter(40).split(bytes(range(200)))), max_size=40))
def test_bent_fragments_complete_no_frame_beyond_the_bound_and_hold_no_more(fragments: list[bytes]) -> None:
    reassembler = Reassembler()
    for now_ms, fragment in enumerate(fragments):
        frame = reassembler.receive(fragment, now_ms)
        assert frame is None or len(frame) <= MAX_FRAME_BYTES
    assert sum(partial.size for partial in reassembler._partials.values()) <= sum(map(len, fragments))


LINKS = [b'<coap://192.0.2.7:5701/t>;rt="v2x.trade";role=1;svc=5;id=a1b2c3d4e5', b'</t>;rt="v2x.trade";role=1']
DATAGRAMS = [
    bytes.fromhex("4402123401020304b174ff") + b"payload",
    bytes.fromhex("480512340102030405060708600131740f61060161 0e ff".replace(" ", "")) + b"x",
    bytes.fromhex("44451234aabbccddd10a0b21 16 ff".replace(" ", "")) + bytes(32),
]


@HOSTILE
@given(almost(LINKS))
def test_a_link_document_shows_what_it_would_be_composed_of_or_nobody(document: bytes) -> None:
    for offered in linkformat.parse(document):
        assert 0 < offered.port < 65_536
        shown = linkformat.compose(offered.announcement, None).encode()
        assert all(part in document for part in shown.split(b";")[2:])


@HOSTILE
@given(almost(DATAGRAMS))
def test_a_datagram_is_a_message_or_none(datagram: bytes) -> None:
    found = packet.decode(datagram)
    if found is not None:
        assert len(found.payload) <= len(datagram)
        again = packet.decode(packet.encode(found))
        assert again is None or again.payload == found.payload


COMMANDS = [b'{"method": "status", "params": {"a": [1, 2.5, null, true]}}\n', b'{"method": "stop"}\n']


@HOSTILE
@given(almost(COMMANDS) | st.integers(1, 60_000).map(lambda depth: b'{"method": ' + b"[" * depth + b"\n"))
def test_a_command_is_read_or_malformed(line: bytes) -> None:
    try:
        method, params = _read(line)
    except UsageError:
        return
    assert isinstance(method, str)
    assert isinstance(params, dict)


@HOSTILE
@given(st.data())
def test_a_session_opens_no_bent_record_and_stays_as_it_was(data: st.DataObject) -> None:
    guest = Dialer(bytes([2]) * 32, remote=PROVIDER.public, entropy=Random(2).randbytes)
    accepted = host(Visibility.OPEN).receive(guest.first(), "dialer", 0)
    assert isinstance(accepted, Accepted)
    opened: Any = guest.receive(accepted.reply(b""))
    ours: Session = opened.session
    theirs = accepted.session
    record = theirs.seal(b"a status")
    bent = data.draw(almost([record]).filter(lambda frame: frame != record))
    with pytest.raises(RemoteTransportError):
        ours.open(bent)
    assert ours.open(record) == b"a status"
