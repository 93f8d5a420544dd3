"""What is wrong on a link: records, handshakes and frames, each in one way."""

from typing import Any

from ledger import cbor
from ledger.entry import to_wire
from market.terms import MessageType
from tests.spec.trade import CLIENT, PROVIDER, REQUEST_ID, Trade, counted
from transports.acceptor import Acceptor, Send, Visibility
from transports.handshake import PROLOGUE, FrameKind, Handshake, Introduction, Pattern, TransportKeys, pack_frame
from transports.keys import NodeKeys, exchange_key
from transports.records import Session
from transports.secure import Dialer
from v2xnode.envelope import pack
from v2xnode.identity import Identity

Json = Any
STRANGER = Identity.from_seed(bytes([3]) * 32, counted(3))


def records() -> dict[str, Json]:
    key, link_id = bytes(range(32)), 64
    sender = Session(peer=PROVIDER.public, local_id=8, remote_id=link_id)
    sender.install(TransportKeys(send=key, receive=bytes(32)))
    sealed = [sender.seal(b"\x80") for _ in range(66)]
    other_link = Session(peer=PROVIDER.public, local_id=8, remote_id=link_id + 1)
    other_link.install(TransportKeys(send=key, receive=bytes(32)))
    flipped = sealed[0][:-1] + bytes([sealed[0][-1] ^ 1])
    renumbered = sealed[0][:2] + b"\x01" + sealed[0][3:]
    beyond = sealed[0][:2] + bytes.fromhex("80100000") + sealed[0][3:]

    def given(*records: bytes) -> Json:
        return {"key": key.hex(), "link_id": link_id, "records": [record.hex() for record in records]}

    return {
        "opened_before": given(sealed[0], sealed[0]),
        "older_than_the_window": given(sealed[64], sealed[0]),
        "one_bit_flipped": given(flipped),
        "under_another_counter": given(renumbered),
        "of_another_link": given(other_link.seal(b"\x80")),
        "counter_beyond_the_last": given(beyond),
        "cut_short": given(sealed[0][:-1]),
        "nothing_but_a_header": given(sealed[0][:3]),
    }


def handshakes() -> dict[str, list[bytes]]:
    said = cbor.encode([])
    known = Dialer(CLIENT.seed, remote=PROVIDER.public, entropy=counted(21)).first(said)
    stranger = Dialer(CLIENT.seed, remote=None, entropy=counted(22))
    question = stranger.first()
    answer = Acceptor(PROVIDER.seed, visibility=Visibility.OPEN, known=lambda _: True, entropy=counted(23)).receive(
        question, "here", 0
    )
    if not isinstance(answer, Send):
        raise ValueError("an open acceptor answers a stranger")
    stranger.receive(answer.frame)
    third = stranger.introduce(said)
    other = Dialer(CLIENT.seed, remote=STRANGER.public, entropy=counted(21)).first(said)
    return {
        "meant_for_another_key": [other],
        "one_bit_flipped": [known[:-1] + bytes([known[-1] ^ 1])],
        "ephemeral_key_of_small_order": [known[:1] + bytes(32) + known[33:]],
        "ephemeral_key_not_reduced": [known[:1] + b"\xff" * 32 + known[33:]],
        "another_prologue": [_first_message(CLIENT, b"v2x-trade/2")],
        "from_ourselves": [_first_message(PROVIDER, PROLOGUE)],
        "stranger_without_padding": [question[:-4]],
        "stranger_with_other_padding": [question[:-1] + b"\x01"],
        "third_message_first": [third],
        "third_message_changed": [question, third[:-1] + bytes([third[-1] ^ 1])],
        "an_answer_as_a_question": [b"\x04" + bytes(99)],
        "unknown_kind": [b"\x06" + known[1:]],
    }


def _first_message(who: Identity, prologue: bytes) -> bytes:
    """IK1 to the provider, as another protocol, version or node would make it."""
    keys = NodeKeys.from_seed(who.seed)
    handshake = Handshake(
        Pattern.IK,
        keys,
        initiator=True,
        ephemeral=bytes(range(32)),
        remote=exchange_key(PROVIDER.public),
        prologue=prologue,
    )
    return pack_frame(FrameKind.IK1, handshake.write(Introduction(keys.sign_bit, 64).pack()))


def frames(trade: Trade) -> dict[str, Any]:
    request = trade.letters[0]
    signed: Any = cbor.decode(pack([request]))
    [[kind, fields, signature]] = signed
    alive = [int(MessageType.ALIVE), {0: 1, 1: 2}]
    accept = to_wire(trade.entries[0].signed, with_prev=True)
    return {
        "refused_by_the_peer": False,
        "no_array": {0: 1},
        "of_nine_items": [alive] * 9,
        "item_without_map": [[22]],
        "item_of_unknown_type": [[99, {}]],
        "signed_message_without_signature": [[kind, fields]],
        "sealed_message_with_signature": [[*alive, signature]],
        "entry_as_a_sealed_message": [[int(MessageType.ACCEPT), {1: 1}]],
        "signature_of_63_bytes": [[kind, fields, signature[:-1]]],
        "receivers_key_spelled_out": [[kind, {**fields, 1: PROVIDER.public}, signature]],
        "request_id_spelled_out": [[int(MessageType.DECLINE), {0: REQUEST_ID, 1: 10}]],
        "body_that_names_the_receiver": [[*accept[:4], trade.entries[0].signed.body, accept[5]]],
        "entry_of_a_type_outside_sessions": [[1, *accept[1:]]],
        "body_that_is_no_byte_string": [[*accept[:4], {1: 1}, accept[5]]],
    }
