"""Signatures checked in threads: each is, and the first row that does not hold is the one that is named."""

from __future__ import annotations

import threading

import pytest

from ledger.audit.rows import Found
from ledger.audit.signature_checks import CHUNK, MAX_CHUNKS, SignatureChecks
from ledger.signing import AAD_ENTRY, AAD_OFFER, sign1
from tests.ledger.world import CLIENT, PROVIDER

PAYLOAD = b"payload"
GOOD = sign1(CLIENT, PAYLOAD, AAD_ENTRY)


def ask(checks: SignatureChecks, rows: int, bad: set[int]) -> None:
    for row in range(1, rows + 1):
        checks.ask(row, CLIENT.public, PAYLOAD, bytes(64) if row in bad else GOOD)


def test_all_hold() -> None:
    with SignatureChecks() as checks:
        ask(checks, CHUNK + 1, set())
        checks.finish()


@pytest.mark.parametrize(
    "bad", [{1}, {CHUNK}, {CHUNK + 1}, {2 * CHUNK + 3}, {5, 2 * CHUNK + 3}, {CHUNK + 1, CHUNK + 2}]
)
def test_the_first_that_does_not_hold_is_named(bad: set[int]) -> None:
    with SignatureChecks() as checks:
        ask(checks, 2 * CHUNK + 3, bad)
        with pytest.raises(Found) as caught:
            checks.finish()
    fault = caught.value.fault
    assert (fault.table, fault.position, fault.column, fault.code) == ("entry", min(bad), "signature", "bad_signature")


def test_a_reader_that_is_too_fast_waits_and_hears_of_it_meanwhile() -> None:
    last = CHUNK * (MAX_CHUNKS + 2)
    with SignatureChecks() as checks:
        with pytest.raises(Found) as caught:
            ask(checks, last, {1, last - CHUNK})
        assert caught.value.fault.position == 1
        with pytest.raises(Found) as caught:
            checks.finish()
        assert caught.value.fault.position == 1


@pytest.mark.parametrize(
    ("public", "signature"),
    [
        (PROVIDER.public, GOOD),
        (CLIENT.public, sign1(CLIENT, PAYLOAD, AAD_OFFER)),
        (b"short", GOOD),
        (CLIENT.public, b""),
    ],
)
def test_a_signature_of_another_key_or_form_does_not_hold(public: bytes, signature: bytes) -> None:
    with SignatureChecks() as checks:
        checks.ask(1, public, PAYLOAD, signature)
        with pytest.raises(Found):
            checks.finish()


def test_no_thread_stays() -> None:
    before = threading.active_count()
    with SignatureChecks() as checks:
        ask(checks, 3 * CHUNK, {2})
    assert threading.active_count() == before
