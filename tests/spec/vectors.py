"""Makes the files of tests/vectors: `python -m tests.spec.vectors` (`make vectors`). Bytes are hexadecimal."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Any

from ledger import cbor
from market.terms import Head, Hello, Ready, Start, to_map, type_of
from tests.spec.ledger_proofs import proofs
from tests.spec.ledger_wrong import ledger_files
from tests.spec.settlement import settlement
from tests.spec.trade import CLIENT, MESSAGES, PROVIDER, RECORD, REQUEST_ID, Trade, counted, play
from tests.spec.vouchers import vouchers
from tests.spec.wrong import wrong_files
from transports.handshake import TransportKeys
from transports.identifier import make_identifier
from transports.records import Session
from transports.secure import Accepted, Acceptor, Dialer, Named, Opened, Received, Send, Visibility
from v2xnode.envelope import Letter, Link, Plain, Talk, pack, place_of

FOLDER = Path(__file__).resolve().parent.parent / "vectors"

Json = Any


def plain(value: object) -> Json:
    """A field's value for people: names of numbers, bytes in hexadecimal."""
    match value:
        case bytes():
            return value.hex()
        case IntFlag() | IntEnum():
            return value.name
        case tuple():
            return [plain(each) for each in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
        case _:
            return value


def messages() -> Json:
    """Every message, its fields and the canonical bytes of its full map."""
    return [
        {
            "type": int(type_of(message)),
            "name": type_of(message).name,
            "fields": plain(message),
            "map": cbor.encode(to_map(message)).hex(),
        }
        for message in MESSAGES
    ]


def keys() -> Json:
    return {
        name: {"seed": who.seed.hex(), "public": who.public.hex(), "resolving_key": who.resolving_key.hex()}
        for name, who in (("provider", PROVIDER), ("client", CLIENT))
    }


def signed(trade: Trade) -> Json:
    """The request and the offer as signed, and as items of a frame."""
    return [
        {
            "name": letter.signed.kind.name,
            "signer": letter.signed.signer.hex(),
            "external_data": letter.signed.kind.aad.decode(),
            "payload": letter.signed.payload.hex(),
            "hash": letter.digest.hex(),
            "signature": letter.signed.signature.hex(),
            "cose_sign1": letter.signed.cose.hex(),
            "frame": pack([letter]).hex(),
        }
        for letter in trade.letters
    ]


def entries(trade: Trade) -> Json:
    """Both chains of one trade, each entry in full and as briefly as its receiver allows."""
    talks = {PROVIDER.public: Talk(), CLIENT.public: Talk()}
    for letter in trade.letters:
        _said(talks, letter)
    told = []
    for entry in trade.entries:
        held = (entry.signed.entry.epoch[:4], entry.signed.entry.seq - 1)
        brief = talks[entry.signed.entry.node].say(entry)
        told.append(
            {
                "name": entry.signed.entry.type.name,
                "node": entry.signed.entry.node.hex(),
                "epoch": entry.signed.entry.epoch.hex(),
                "seq": entry.signed.entry.seq,
                "prev": entry.signed.entry.prev.hex(),
                "answers": entry.signed.entry.answers.hex(),
                "body": entry.signed.body.hex(),
                "salt": entry.signed.salt.hex(),
                "payload": entry.signed.entry.payload.hex(),
                "hash": entry.digest.hex(),
                "signature": entry.signed.signature.hex(),
                "cose_sign1": entry.signed.cose.hex(),
                "frame_full": pack([entry]).hex(),
                "frame_brief": pack([brief], held).hex(),
            }
        )
        _said(talks, entry)
    return {"external_data": "v2x-trade/1 entry", "request_id": REQUEST_ID.hex(), "entries": told}


def _said(talks: Mapping[bytes, Talk], item: Letter | Link) -> None:
    signer = item.signed.entry.node if isinstance(item, Link) else item.signed.signer
    for node, talk in talks.items():
        if node == signer and isinstance(item, Letter):
            talk.say(item)
        elif node != signer:
            talk.hear(item)


def handshake(trade: Trade, *, known: bool) -> Json:
    """A set-up from its first byte to Start, with keys and frames. known: IK, and each holds the other's KEY entry, so
    that no `prev` travels; else XX, where it does."""
    entropy = counted(21 if known else 22)
    dialer = Dialer(CLIENT.seed, remote=PROVIDER.public if known else None, entropy=entropy)
    acceptor = Acceptor(PROVIDER.seed, visibility=Visibility.OPEN, known=lambda _: True, entropy=counted(23))
    request, offer = trade.letters
    first_of = {name: place_of(signed.entry) for name, signed in trade.genesis.items()}
    asks, offers = (
        pack([Plain(_hello(trade, name, holds=Head(*first_of[other]) if known else None)), letter])
        for name, other, letter in (("client", "provider", request), ("provider", "client", offer))
    )
    accept, confirm = (replace(entry, brief=True) for entry in trade.entries[:2])
    frames: list[Json] = []

    def over(sender: str, kind: str, frame: bytes, payload: bytes = b"") -> None:
        frames.append({"from": sender, "kind": kind, "frame": frame.hex(), "payload": payload.hex()})

    if known:
        first = dialer.first(asks)
        over("client", "IK1", first, asks)
    else:
        hello = dialer.first()
        over("client", "XX1", hello)
        answer = acceptor.receive(hello, "here", 0)
        assert isinstance(answer, Send)
        over("provider", "XX2", answer.frame)
        named = dialer.receive(answer.frame)
        assert isinstance(named, Named)
        first = dialer.introduce(asks)
        over("client", "XX3", first, asks)
    accepted = acceptor.receive(first, "here", 1)
    assert isinstance(accepted, Accepted)
    reply = accepted.reply(offers)
    over("provider", "IK2" if known else "record", reply, offers)
    opened = dialer.receive(reply)
    assert isinstance(opened, Opened)
    nonce = b"\x07" * 8
    question = pack([accept, Plain(Ready(1, nonce))], first_of["client"] if known else None)
    record = opened.session.seal(question)
    over("client", "record", record, question)
    assert isinstance(acceptor.receive(record, "here", 2), Received)
    answered = pack([confirm, Plain(Start(1, nonce))], first_of["provider"] if known else None)
    over("provider", "record", accepted.session.seal(answered), answered)
    return {
        "pattern": "Noise_IK_25519_ChaChaPoly_SHA256" if known else "Noise_XX_25519_ChaChaPoly_SHA256",
        "prologue": "v2x-trade/1",
        "client_seed": CLIENT.seed.hex(),
        "provider_seed": PROVIDER.seed.hex(),
        "entropy": "every draw takes the next big-endian 32-bit numbers, cut to its size: the client's count from "
        f"{21 if known else 22} * 65536, the provider's from {23} * 65536",
        "frames": frames,
    }


def _hello(trade: Trade, name: str, *, holds: Head | None) -> Hello:
    """holds: the newest entry of the other's chain that this side holds, where the two know each other."""
    epoch = trade.genesis[name].entry.epoch
    return Hello(electrical=RECORD, epoch=epoch, holds=() if holds is None else (holds,))


def identifiers() -> Json:
    """Rotating identifiers under the two resolving keys."""
    return [
        {
            "key": who.resolving_key.hex(),
            "random": random.hex(),
            "identifier": make_identifier(who.resolving_key, random).hex(),
        }
        for who in (PROVIDER, CLIENT)
        for random in (b"\x00\x00", b"\xab\xcd")
    ]


def records() -> Json:
    """Sealed records with their counters: the forms of a link id, and a counter at each length that it can have."""
    told = []
    for link_id, counter in ((8, 0), (63, 63), (64, 64), (4_711, 16_383), (4_711, 16_384), (1 << 30, (1 << 20) - 1)):
        key, plaintext = bytes(range(link_id % 100, link_id % 100 + 32)), bytes([0x80])
        session = Session(peer=PROVIDER.public, local_id=8, remote_id=link_id)
        session.install(TransportKeys(send=key, receive=bytes(32)))
        session._sealed = counter  # sealing a million records would take a minute
        record = session.seal(plaintext)
        told.append(
            {
                "key": key.hex(),
                "link_id": link_id,
                "counter": counter,
                "plaintext": plaintext.hex(),
                "record": record.hex(),
            }
        )
    return told


def files() -> dict[str, Json]:
    """Every vector file by its name."""
    trade = play()
    made = {
        "keys.json": keys(),
        "messages.json": messages(),
        "signed.json": signed(trade),
        "entries.json": entries(trade),
        "handshake_ik.json": handshake(trade, known=True),
        "handshake_xx.json": handshake(trade, known=False),
        "identifiers.json": identifiers(),
        "records.json": records(),
        "settlement.json": settlement(),
        "proofs.json": proofs(trade),
        "vouchers.json": vouchers(),
    }
    wrong = {f"wrong/{name}.json": content for name, content in wrong_files(trade).items()}
    return made | wrong | ledger_files()


def text_of(content: Json) -> str:
    return json.dumps(content, indent=1) + "\n"


if __name__ == "__main__":
    for name, content in files().items():
        path = FOLDER / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text_of(content))
