"""The whole trade once more, from the entries alone: nothing is believed because it was believed before."""

from itertools import pairwise

from examples.second_implementation import messages as m
from examples.second_implementation.bill import Bill
from examples.second_implementation.entries import GENESIS, Entry
from examples.second_implementation.keys import EXTERNAL_DATA, is_signed_by, need, salt_of
from examples.second_implementation.purchase import Purchase


def verified(trade: Purchase) -> list[str]:
    """What was bought, in sentences. Raises ProtocolError for the first thing that does not hold."""
    offer = trade.offer
    genuine = is_signed_by(trade.provider, offer.payload, EXTERNAL_DATA[m.OFFER], offer.signature)
    need(genuine, "The offer's signature does not hold.")
    _check_chain(trade.chain.entries)
    _check_provider(trade)
    _check_answers(trade)
    agreed_wh, amounts = _recount(trade)
    checked = len(trade.held) + len(trade.chain.entries)
    return [
        f"agreed: {agreed_wh} Wh",
        f"amount: {sum(amounts)} micro {offer.values['currency']}",
        f"verified: {checked}",
    ]


def _check_chain(own: list[Entry]) -> None:
    need(own[0].prev == GENESIS and all(each.holds for each in own), "Our own chain does not hold.")
    for before, after in pairwise(own):
        need(after.seq == before.seq + 1 and after.prev == before.hash, "Our own chain has a gap.")


def _check_provider(trade: Purchase) -> None:
    for each in trade.held:
        need(each.holds and each.node == trade.provider, "An entry's signature does not hold.")
        need(each.salt == salt_of(trade.request_id, each.epoch, each.seq), "An entry's salt is another one's.")
        need(each.values["peer"] == trade.chain.identity.public, "An entry is meant for somebody else.")
    for before, after in pairwise(sorted(trade.held, key=lambda each: each.seq)):
        need(after.seq > before.seq and after.epoch == before.epoch, "Two entries stand in one place.")
        need(after.seq > before.seq + 1 or after.prev == before.hash, "The provider's chain does not fit.")


def _check_answers(trade: Purchase) -> None:
    """Each half is joined to its other half by hash."""
    known = {trade.offer.hash} | {each.hash for each in [*trade.held, *trade.chain.entries]}
    for each in [*trade.held, *trade.chain.entries[1:]]:
        need(each.answers in known, f"An entry of type {each.kind} answers what nobody has said.")


def _recount(trade: Purchase) -> tuple[int, list[int]]:
    """Energy and amounts again, from both sides' registers."""
    intervals = [each.values for each in trade.held if each.kind == m.INTERVAL]
    receipts = [each.values for each in trade.receipts]
    need(len(intervals) == len(receipts), "An interval has no receipt.")
    first, opening = intervals[0], receipts[0]
    bill = Bill(trade.offer.values, first["end_at_ms"], first["register_wh"], opening["register_wh"])
    for interval, receipt in zip(intervals[1:], receipts[1:], strict=True):
        counted = bill.count(interval["end_at_ms"], interval["register_wh"], receipt["register_wh"])
        agreed = receipt["agreed_wh"] == counted.agreed_wh and receipt["amounts_micro"] == counted.amounts_micro
        need(agreed and not counted.disputed, f"Receipt {receipt['number']} is reckoned wrongly.")
    need(trade.close is not None, "There is no Close.")
    if trade.close is not None:
        said = trade.close.values
        need((said["agreed_wh"], said["amounts_micro"]) == (bill.agreed_wh, bill.amounts_micro()), "The totals differ.")
    return bill.agreed_wh, bill.amounts_micro()
