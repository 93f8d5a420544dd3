"""A meter's key belongs to the node to which it gave its word, and to no other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from ledger.errors import BadSignature, BrokenChain
from ledger.keys.bodies import MeterKey, Place
from ledger.keys.meter_key import bind_meter_key, check_meter_key
from tests.ledger.key_world import FIRST, NODE, OTHER, KeyChain, signed_key


@pytest.fixture(scope="module")
def bound() -> MeterKey:
    return bind_meter_key(generate_private_key(SECP256R1()), NODE)


def test_it_stands_in_the_history(bound: MeterKey) -> None:
    chain = KeyChain()
    chain.add(FIRST, bound)
    assert chain.history.meters == (bound,)
    assert chain.history.key_at(chain.epoch, 2) == NODE


def test_it_starts_no_epoch(bound: MeterKey) -> None:
    chain = KeyChain()
    with pytest.raises(BrokenChain):
        chain.history.with_entry(signed_key(FIRST, Place(NODE, bytes(8), 0, bytes([1]) * 32), bound))


def test_it_is_bound_to_one_node(bound: MeterKey) -> None:
    check_meter_key(NODE, bound)
    with pytest.raises(BadSignature):
        check_meter_key(OTHER.public, bound)


def test_another_point_and_another_signature_are_refused(bound: MeterKey) -> None:
    other = bind_meter_key(generate_private_key(SECP256R1()), NODE)
    for wrong in (
        replace(bound, point=other.point),
        replace(bound, consent=other.consent),
        replace(bound, consent=bytes(64)),
        replace(bound, point=b"\x04" + bytes(64)),
    ):
        with pytest.raises(BadSignature):
            check_meter_key(NODE, wrong)
