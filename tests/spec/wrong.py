"""One file for each way of being wrong: what is received, in which layer, and the code of the refusal."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ledger import cbor
from ledger.entry import from_wire, to_wire
from ledger.errors import LedgerError
from ledger.message import MessageKind, SignedMessage
from market.errors import MarketError
from market.terms import MESSAGES, MessageType, from_map, to_map
from tests.spec.trade import CLIENT, PROVIDER, REQUEST_ID, Trade, counted
from tests.spec.trade import MESSAGES as SAMPLES
from tests.spec.wrong_links import frames, handshakes, records
from transports.acceptor import Acceptor, Silence, Visibility
from transports.errors import TransportError
from transports.handshake import Introduction, TransportKeys
from transports.records import Session
from transports.secure import Dialer
from transports.varint import decode_varint
from v2xnode.envelope import MAX_FRAME_BYTES, Reading, read, unpack
from v2xnode.errors import NodeError

Json = Any
LAYERS: dict[str, str] = {
    "cbor": "bytes that a decoder of the subset must refuse",
    "message": "the map of a message of the type given",
    "signed": "a signed message: payload, signature, signer and kind",
    "entry": "an entry on the wire, from the node, epoch and session given",
    "dial": "the Ed25519 key that a dialer is asked to dial, by the node with the client's seed",
    "varint": "an integer of variable length",
    "introduction": "the payload of a handshake message",
    "record": "the last of these records, by a receiver with this key and link id that has opened those before",
    "handshake": "the last of these frames, by an acceptor open to all with the provider's seed, which is silent",
    "frame": "a frame that the provider gets from the client in the session of the request id",
}


def check(layer: str, given: Json) -> None:
    """Do what a receiver does. Raises LedgerError, MarketError or TransportError with the code."""
    _CHECKS[layer](given)


def code_of(layer: str, given: Json) -> str:
    """The code of the refusal; "" where it is none."""
    try:
        check(layer, given)
    except (LedgerError, MarketError, TransportError, NodeError) as problem:
        return problem.code
    return ""


def _message(given: Json) -> None:
    kind = MessageType[given["name"]]
    from_map(MESSAGES[kind], cbor.decode(bytes.fromhex(given["map"])))


def _signed(given: Json) -> None:
    payload, signature, signer = (bytes.fromhex(given[name]) for name in ("payload", "signature", "signer"))
    SignedMessage(MessageKind[given["kind"]], signer, payload, signature).check()


def _entry(given: Json) -> None:
    from_wire(
        cbor.decode(bytes.fromhex(given["wire"])),
        node=bytes.fromhex(given["node"]),
        epoch=bytes.fromhex(given["epoch"]),
        request_id=bytes.fromhex(given["request_id"]),
        prev_lookup=lambda *_: None,
        expected_answers=bytes.fromhex(given.get("expected_answers", "")),
    )


def _record(given: Json) -> None:
    session = Session(peer=CLIENT.public, local_id=given["link_id"], remote_id=8)
    session.install(TransportKeys(send=bytes(32), receive=bytes.fromhex(given["key"])))
    for record in given["records"]:
        session.open(bytes.fromhex(record))


def _handshake(given: Json) -> None:
    acceptor = Acceptor(PROVIDER.seed, visibility=Visibility.OPEN, known=lambda _: True, entropy=counted(23))
    outcomes = [acceptor.receive(bytes.fromhex(frame), "here", 0) for frame in given["frames"]]
    if any(isinstance(outcome, Silence) for outcome in outcomes[:-1]):
        raise ValueError("only the last of these frames is wrong")
    if isinstance(outcomes[-1], Silence):
        raise Unheard(outcomes[-1].reason)


class Unheard(TransportError):
    """Met with silence, for this reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.code = str(reason)


def _frame(given: Json) -> None:
    epoch, request_id = (bytes.fromhex(given[name]) for name in ("epoch", "request_id"))
    context = Reading(PROVIDER.public, CLIENT.public, epoch, request_id, lambda *_: None)
    for item in unpack(bytes.fromhex(given["frame"])):
        read(item, context)


_CHECKS: dict[str, Callable[[Json], object]] = {
    "cbor": lambda given: cbor.decode(bytes.fromhex(given["bytes"])),
    "message": _message,
    "signed": _signed,
    "entry": _entry,
    "dial": lambda given: Dialer(CLIENT.seed, remote=bytes.fromhex(given["remote"]), entropy=counted(1)),
    "varint": lambda given: decode_varint(bytes.fromhex(given["bytes"])),
    "introduction": lambda given: Introduction.unpack(bytes.fromhex(given["bytes"])),
    "record": _record,
    "handshake": _handshake,
    "frame": _frame,
}

CBOR: dict[str, str] = {
    "long_form_of_a_small_integer": "1801",
    "length_in_a_longer_form": "5801ff",
    "keys_out_of_order": "a201000000",
    "key_twice": "a200000001",
    "text_key": "a1616100",
    "indefinite_array": "9f00ff",
    "indefinite_string": "5f4100ff",
    "float": "f93c00",
    "null": "f6",
    "undefined": "f7",
    "tag": "c000",
    "integer_beyond_64_bits": "1bffffffffffffffff",
    "truncated": "8200",
    "bytes_after_the_end": "0000",
    "nothing": "",
    "nine_levels_deep": "81818181818181818100",
    "longer_than_1024_bytes": "590400" + "00" * 1024,
    "text_that_is_no_utf8": "61ff",
    "key_above_23": "a1181800",
}


def wrong_files(trade: Trade) -> dict[str, Json]:
    """By name: `layer`, `what`, `given`, and the `code` that a receiver must come to."""
    cases: dict[str, tuple[str, Json]] = {}
    for name, data in CBOR.items():
        cases[f"cbor_{name}"] = ("cbor", {"bytes": data})
    for name, kind, wrong in _maps():
        cases[f"message_{name}"] = ("message", {"name": kind, "map": cbor.encode(wrong).hex()})
    for name, given in _signatures(trade).items():
        cases[f"signed_{name}"] = ("signed", given)
    for name, given in _entries(trade).items():
        cases[f"entry_{name}"] = ("entry", given)
    for name, given in records().items():
        cases[f"record_{name}"] = ("record", given)
    for name, sent in handshakes().items():
        cases[f"handshake_{name}"] = ("handshake", {"frames": [frame.hex() for frame in sent]})
    for name, value in frames(trade).items():
        epoch = trade.entries[0].signed.entry.epoch.hex()
        frame = cbor.encode(value, max_bytes=MAX_FRAME_BYTES).hex()
        cases[f"frame_{name}"] = ("frame", {"epoch": epoch, "request_id": REQUEST_ID.hex(), "frame": frame})
    cases["dial_ourselves"] = ("dial", {"remote": CLIENT.public.hex()})
    cases["dial_small_order"] = ("dial", {"remote": "01" + "00" * 31})
    cases["dial_not_on_the_curve"] = ("dial", {"remote": "02" + "00" * 31})
    cases["varint_longer_than_needed"] = ("varint", {"bytes": "4001"})
    cases["varint_truncated"] = ("varint", {"bytes": "40"})
    cases["introduction_without_sign_bit"] = ("introduction", {"bytes": "0208"})
    cases["introduction_small_link_id"] = ("introduction", {"bytes": "0007"})
    return {
        name: {"layer": layer, "what": LAYERS[layer], "given": given, "code": code_of(layer, given)}
        for name, (layer, given) in cases.items()
    }


def _maps() -> list[tuple[str, str, Any]]:
    maps = {type(each).__name__: to_map(each) for each in reversed(SAMPLES)}
    request, offer, receipt, close, hello = (maps[name] for name in ("Request", "Offer", "Receipt", "Close", "Hello"))
    return [
        ("unknown_key", "REQUEST", {**request, 23: 0}),
        ("default_spelled_out", "REQUEST", {**request, 6: 0}),
        ("field_missing", "REQUEST", {key: value for key, value in request.items() if key != 7}),
        ("energy_of_nothing", "REQUEST", {**request, 3: 0}),
        ("energy_below_zero", "REQUEST", {**request, 3: -1}),
        ("energy_too_large", "REQUEST", {**request, 3: 10_000_001}),
        ("least_above_wanted", "REQUEST", {**request, 4: 501}),
        ("request_id_too_short", "REQUEST", {**request, 0: b"short"}),
        ("service_unknown", "REQUEST", {**request, 2: 99}),
        ("boolean_for_a_number", "REQUEST", {**request, 3: True}),
        ("price_steps_none", "OFFER", {**offer, 8: []}),
        ("fixed_price_in_two_steps", "OFFER", {**offer, 8: [[0, 1], [1, 2]]}),
        ("reference_meter_of_the_wrong_side", "OFFER", {**offer, 5: 1}),
        ("exposure_too_small", "OFFER", {**offer, 12: 1}),
        ("amount_overflow", "RECEIPT", {**receipt, 4: [2**62 + 1]}),
        ("amount_below_zero", "RECEIPT", {**receipt, 4: [-1]}),
        ("reason_unknown", "CLOSE", {**close, 2: 20}),
        ("version_zero", "HELLO", {**hello, 0: [0]}),
        ("head_without_seq", "HELLO", {**hello, 5: [b"\x0f" * 4]}),
    ]


def _signatures(trade: Trade) -> dict[str, Json]:
    request, offer = trade.letters
    right = {
        "kind": "OFFER",
        "payload": offer.signed.payload.hex(),
        "signature": offer.signed.signature.hex(),
        "signer": PROVIDER.public.hex(),
    }
    flipped = bytes([offer.signed.signature[0] ^ 1]) + offer.signed.signature[1:]
    return {
        "by_another": {**right, "signer": CLIENT.public.hex()},
        "as_another_kind": {**right, "kind": "COUNTER"},
        "one_bit_flipped": {**right, "signature": flipped.hex()},
        "over_another_payload": {**right, "payload": request.signed.payload.hex()},
        "small_order_key": {**right, "signer": "01" + "00" * 31},
    }


def _entries(trade: Trade) -> dict[str, Json]:
    accept = trade.entries[0]
    entry = accept.signed.entry
    full = to_wire(accept.signed, with_prev=True)
    right = {
        "node": entry.node.hex(),
        "epoch": entry.epoch.hex(),
        "request_id": REQUEST_ID.hex(),
    }

    def given(wire: list[Any], **changes: str) -> Json:
        return {**right, "wire": cbor.encode(wire).hex(), **changes}

    other = replace(accept, signed=trade.entries[1].signed)
    return {
        "of_another_node": given(full, node=PROVIDER.public.hex()),
        "of_another_epoch": given(full, epoch="00" * 8),
        "of_another_session": given(full, request_id="ff" * 16),
        "with_another_seq": given([full[0], 7, *full[2:]]),
        "with_another_prev": given([*full[:2], b"\x11" * 32, *full[3:]]),
        "answering_another": given([*full[:3], b"\x11" * 32, *full[4:]]),
        "with_another_body": given([*full[:4], cbor.encode({1: 1}), full[5]]),
        "with_another_signature": given([*full[:5], other.signed.signature]),
        "prev_left_out_and_not_held": given([*full[:2], b"", *full[3:]]),
        "answers_left_out_and_nothing_said": given([*full[:3], True, *full[4:]]),
        "answers_left_out_and_something_else_said": given([*full[:3], True, *full[4:]], expected_answers="22" * 32),
        "unknown_type": given([99, *full[1:]]),
        "of_five_fields": given(full[:5]),
        "seq_below_zero": given([full[0], -1, *full[2:]]),
        "salt_where_none_belongs": given([*full, b"\x00" * 16]),
    }
