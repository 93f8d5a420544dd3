"""A receipt is made of what counts, and whoever gets it comes to the same trade."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.entry import EntryType
from market.errors import Reason
from market.terms import Close, Closed, Interval, Void
from tests.support.deals import (
    AT_MS,
    AT_S,
    FIXED,
    MINUTES,
    PROVIDER,
    PROVIDER_OPENS_WH,
    Deal,
    Side,
    played,
    request_id,
    sides,
)
from tests.support.receipts import COSIGNED_AT_S, SETTLED, checkpointed, read, receipt_of, receipts
from v2xnode.export.errors import ExportRefused
from v2xnode.export.receipt import Verdict, check_receipt


def verdict(name: str) -> Verdict:
    return check_receipt(read(receipts()[name]))


@contextmanager
def both() -> Iterator[tuple[Side, Side]]:
    with tempfile.TemporaryDirectory(prefix="receipt-") as directory, sides(Path(directory)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("name", "state", "agreed_wh", "total_micro", "parked_wh"),
    [
        ("fixed", "settled", 304, 95_002, 0),
        ("taxed", "settled", 304, 315_354, 0),
        ("by time", "settled", 304, 292_682, 0),
        ("by tier", "settled", 304, 100_800, 0),
        ("into a home", "settled", 297, 312_750, 0),
        ("disputed", "disputed", 120, 37_501, 83),
        ("resolved", "resolved", 180, 269_240, 0),
    ],
)
def test_a_stranger_comes_to_what_the_parties_came_to(
    name: str, state: str, agreed_wh: int, total_micro: int, parked_wh: int
) -> None:
    dossier = verdict(name).dossier
    found = (dossier.state, dossier.agreed_wh, dossier.total_micro, dossier.parked_wh)
    assert found == (state, agreed_wh, total_micro, parked_wh)
    assert (dossier.provider, dossier.started_at_ms) == (PROVIDER.public, AT_MS)
    assert sum(amount for _, amount in dossier.lines) == total_micro


def test_every_settled_story_has_its_case_above() -> None:
    assert len(SETTLED) == 7


def test_it_shows_checkpoint_and_cosigner() -> None:
    shown = verdict("fixed")
    assert shown.is_proven
    assert [(each.node, each.at_s) for each in shown.checked.cosigners] == [(shown.dossier.client, COSIGNED_AT_S)]
    assert not shown.checked.revoked


def test_without_a_checkpoint_it_says_so() -> None:
    shown = verdict("by the client")
    assert not shown.is_proven
    assert shown.dossier == verdict("fixed").dossier


def test_the_registers_are_told() -> None:
    assert (verdict("fixed").dossier.provider_wh, verdict("fixed").dossier.client_wh) == (304, 297)
    assert (verdict("disputed").dossier.provider_wh, verdict("disputed").dossier.client_wh) == (203, 120)


@pytest.mark.parametrize("name", ["void", "running"])
def test_what_is_not_settled_has_none(name: str) -> None:
    with both() as (provider, client):
        played(provider, client, name)
        with pytest.raises(ExportRefused) as refusal:
            receipt_of(provider, name)
    assert refusal.value.code == "no_receipt"


def test_what_does_not_count_is_left_out() -> None:
    """A Close that a late Receipt superseded, an Interval that nobody answered, a Void that came too late."""
    with both() as (provider, client):
        deal = Deal(provider, client, replace(FIXED, request_id=request_id("late")))
        deal.agree()
        deal.meter(*MINUTES[:2])
        account = deal.account
        early = Close(client.key, AT_S + 800, Reason.SILENCE, 2, 101, (31_563,))
        deal.by(provider, early)
        deal.by(client, Void(provider.key, AT_S + 810, Reason.WITHDRAWN))
        last = Interval(client.key, 3, AT_MS + 180_000, PROVIDER_OPENS_WH + 210)
        deal.by(provider, last)
        totals = (account.receipts, account.agreed_wh, account.amounts_micro)
        close = deal.by(provider, Close(client.key, AT_S + 900, Reason.SILENCE, *totals))
        deal.by(client, Closed(provider.key, AT_S + 901, *totals), close.hash)
        receipt = receipt_of(provider, "late")
    kinds = [each.entry.type.name for each in receipt.entries]
    assert kinds == ["ACCEPT", "CONFIRM", *["INTERVAL", "RECEIPT"] * 3, "CLOSE", "CLOSED"]
    assert check_receipt(receipt).dossier.agreed_wh == 203


def test_a_checkpoint_made_before_the_settlement_proves_nothing_of_it() -> None:
    with both() as (provider, client):
        deal = Deal(provider, client, replace(FIXED, request_id=request_id("early")))
        deal.agree()
        deal.meter(*MINUTES)
        checkpointed(provider, client)
        deal.close()
        assert receipt_of(provider, "early").note is None
        checkpointed(provider, client)
        assert check_receipt(receipt_of(provider, "early")).is_proven


def test_no_other_trade_is_shown() -> None:
    receipt = read(receipts()["taxed"])
    assert {each.request_id for each in receipt.entries} == {request_id("taxed")}
    assert all(each.entry.type is not EntryType.KEY for each in receipt.entries)
