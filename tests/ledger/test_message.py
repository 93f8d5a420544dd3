"""Signed requests, offers and counters."""

from __future__ import annotations

import dataclasses

import pytest

from ledger import cbor
from ledger.errors import BadSignature, Malformed
from ledger.message import MAX_MESSAGE_BYTES, MessageKind, sign_message
from tests.ledger.world import CLIENT, PROVIDER, REQUEST, offer


def test_a_message_holds_as_signed_and_for_its_own_request() -> None:
    message = offer()
    message.check()
    message.check_request(REQUEST)


@pytest.mark.parametrize("other", [MessageKind.REQUEST, MessageKind.COUNTER])
def test_an_offer_never_passes_for_another_kind(other: MessageKind) -> None:
    with pytest.raises(BadSignature):
        dataclasses.replace(offer(), kind=other).check()


def test_a_message_is_of_its_signer_only() -> None:
    with pytest.raises(BadSignature):
        dataclasses.replace(offer(), signer=CLIENT.public).check()


@pytest.mark.parametrize("request_id", [bytes(16), REQUEST[:15], b""])
def test_it_is_not_kept_for_another_request(request_id: bytes) -> None:
    with pytest.raises(Malformed):
        offer().check_request(request_id)


def test_the_export_is_the_standard_array() -> None:
    message = offer()
    assert cbor.decode(message.cose) == [b"\xa1\x01\x27", {}, message.payload, message.signature]


def test_length_is_bounded() -> None:
    sign_message(PROVIDER, MessageKind.REQUEST, bytes(MAX_MESSAGE_BYTES))
    with pytest.raises(Malformed):
        sign_message(PROVIDER, MessageKind.REQUEST, bytes(MAX_MESSAGE_BYTES + 1))
