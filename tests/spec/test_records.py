"""The sealed records of the vectors, opened by the cipher alone and by a session."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from tests.spec.vectors import FOLDER
from transports.errors import Forged, Malformed
from transports.handshake import TransportKeys
from transports.records import Session
from transports.varint import encode_varint

RECORDS = json.loads((FOLDER / "records.json").read_text())


@pytest.mark.parametrize("vector", RECORDS, ids=lambda each: f"link {each['link_id']} counter {each['counter']}")
def test_a_record_is_what_the_page_says(vector: Any) -> None:
    key, record = bytes.fromhex(vector["key"]), bytes.fromhex(vector["record"])
    header = encode_varint(vector["link_id"]) + encode_varint(vector["counter"])
    assert record.startswith(header)
    nonce = bytes(4) + vector["counter"].to_bytes(8, "little")
    assert ChaCha20Poly1305(key).decrypt(nonce, record[len(header) :], header).hex() == vector["plaintext"]


@pytest.mark.parametrize("vector", RECORDS, ids=lambda each: f"link {each['link_id']} counter {each['counter']}")
def test_a_session_opens_it_and_no_byte_may_differ(vector: Any) -> None:
    record = bytes.fromhex(vector["record"])
    session = Session(peer=bytes(32), local_id=vector["link_id"], remote_id=8)
    session.install(TransportKeys(send=bytes(32), receive=bytes.fromhex(vector["key"])))
    for place in range(len(record)):
        with pytest.raises((Forged, Malformed)):
            session.open(record[:place] + bytes([record[place] ^ 1]) + record[place + 1 :])
    assert session.open(record).hex() == vector["plaintext"]
