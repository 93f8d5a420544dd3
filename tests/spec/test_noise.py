"""The handshake against vectors that another house has published (see published/README.md)."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from transports.handshake import Handshake, Pattern
from transports.keys import NodeKeys
from transports.records import Session

PUBLISHED = json.loads((Path(__file__).parent / "published" / "cacophony.json").read_text())["vectors"]
MESSAGES_OF = {Pattern.IK: 2, Pattern.XX: 3}


def keys_of(secret: bytes) -> NodeKeys:
    """A static key that belongs to no Ed25519 key."""
    exchange = X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    return NodeKeys(public=bytes(32), secret=secret, exchange=exchange, sign_bit=0)


def sides(vector: dict[str, Any]) -> tuple[Handshake, Handshake]:
    """Initiator and responder as the vector wants them."""
    raw = {name: bytes.fromhex(value) for name, value in vector.items() if name.startswith(("init_", "resp_"))}
    made = [
        Handshake(
            Pattern(vector["protocol_name"].encode()),
            keys_of(raw[f"{side}_static"]),
            initiator=side == "init",
            ephemeral=raw[f"{side}_ephemeral"],
            remote=raw.get(f"{side}_remote_static"),
            prologue=raw[f"{side}_prologue"],
        )
        for side in ("init", "resp")
    ]
    return made[0], made[1]


@pytest.mark.parametrize("vector", PUBLISHED, ids=lambda each: each["protocol_name"])
def test_each_message_has_the_published_bytes(vector: dict[str, Any]) -> None:
    writer, reader = sides(vector)
    pattern = Pattern(vector["protocol_name"].encode())
    for message in vector["messages"][: MESSAGES_OF[pattern]]:
        payload, ciphertext = (bytes.fromhex(message[name]) for name in ("payload", "ciphertext"))
        assert writer.write(payload) == ciphertext
        assert reader.read(ciphertext) == payload
        writer, reader = reader, writer


@pytest.mark.parametrize("vector", PUBLISHED, ids=lambda each: each["protocol_name"])
def test_records_are_sealed_with_the_published_keys(vector: dict[str, Any]) -> None:
    """Ours carry a header as associated data, so that only the bytes of the cipher's stream are the same."""
    writer, reader = sides(vector)
    count = MESSAGES_OF[Pattern(vector["protocol_name"].encode())]
    for message in vector["messages"][:count]:
        reader.read(writer.write(bytes.fromhex(message["payload"])))
        writer, reader = reader, writer
    ends = []
    for side in (writer, reader):
        session = Session(peer=bytes(32), local_id=64, remote_id=64)
        session.install(side.finish())
        ends.append(session)
    sender, receiver = ends
    for message in vector["messages"][count:]:
        payload, ciphertext = (bytes.fromhex(message[name]) for name in ("payload", "ciphertext"))
        record = sender.seal(payload)
        header_bytes, tag_bytes = 2 + 1, 16
        assert record[header_bytes:-tag_bytes] == ciphertext[:-tag_bytes]
        assert receiver.open(record) == payload
        sender, receiver = receiver, sender
