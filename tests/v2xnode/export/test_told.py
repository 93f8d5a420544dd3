"""What a receipt shows is told in full: parties, energy, money, and how far it is proven."""

from dataclasses import replace

from tests.support.receipts import read, receipts
from v2xnode.export.receipt import Verdict, check_receipt
from v2xnode.export.told import receipt_json, receipt_sentence


def verdict(name: str) -> Verdict:
    return check_receipt(read(receipts()[name]))


def test_the_sentence_names_all_that_a_stranger_asks() -> None:
    shown = verdict("taxed")
    sentence = receipt_sentence(shown)
    for part in (shown.dossier.provider.hex(), shown.dossier.client.hex(), "304 Wh", "0.315354 EUR", "settled"):
        assert part in sentence
    assert f"up to {shown.checked.checkpoint.size if shown.checked.checkpoint else 0} entries" in sentence
    assert f"cosigned by {shown.dossier.client.hex()[:12]}" in sentence


def test_what_is_not_proven_is_said() -> None:
    assert "no checkpoint" in receipt_sentence(verdict("by the client"))
    assert "83 Wh are disputed" in receipt_sentence(verdict("disputed"))
    fixed = verdict("fixed")
    assert "cosigned by nobody" in receipt_sentence(replace(fixed, checked=replace(fixed.checked, cosigners=())))
    assert "revoked" in receipt_sentence(replace(fixed, checked=replace(fixed.checked, revoked=True)))


def test_programs_get_the_figures() -> None:
    told = receipt_json(verdict("resolved"))
    assert told["delivered_wh"] == {"provider": 203, "client": 120, "agreed": 180}
    assert sum(told["amounts_micro"]) == told["total_micro"] == 269_240
    assert (told["state"], told["parked_wh"], told["revoked"]) == ("resolved", 0, False)
    assert len(told["cosigners"]) == 1
