"""The owner's steps in a dispute: propose what counts in the end, or agree to what the other proposes."""

from ledger.entry import SignedEntry
from ledger.store.transaction import Transaction
from market.errors import TermsInvalid
from market.terms import Dispute, Resolve
from v2xnode.settling.signing import AccountingRefused, append
from v2xnode.settling.trades import Trade, trade


def resolve(transaction: Transaction, request_id: bytes, agreed_wh: int, now_s: int) -> SignedEntry:
    """Sign that `agreed_wh` counts for the whole trade: agreement where the peer's newest proposal says the same, a
    proposal otherwise.

    Raises AccountingRefused for a trade without an open dispute (`nothing_disputed`), one that we have not settled
    over the undisputed part yet (`not_settled`), and an energy outside of what was metered (`out_of_range`).
    """
    told = _disputed(transaction, request_id)
    return _signed(transaction, told, _message(told, agreed_wh, now_s), now_s)


def agree(transaction: Transaction, request_id: bytes, now_s: int) -> SignedEntry:
    """Sign the peer's newest proposal. Raises as `resolve`; `no_proposal` where there is none, `wrong_amounts` where it
    reckons other amounts for its energy than the offer does."""
    told = _disputed(transaction, request_id)
    proposal = told.resolving.proposed(own=False)
    if proposal is None:
        raise AccountingRefused("The peer has proposed nothing.", code="no_proposal")
    message = _message(told, proposal.message.agreed_wh, now_s)
    if message.amounts_micro != proposal.message.amounts_micro:
        raise AccountingRefused("The peer's amounts are not what the offer makes of this energy.", code="wrong_amounts")
    return _signed(transaction, told, message, now_s)


def _message(told: Trade, agreed_wh: int, now_s: int) -> Resolve:
    parked = told.parked
    if parked is None:
        raise AccountingRefused("Nothing is parked in this trade.", code="nothing_disputed")
    try:
        return Resolve(told.peer, now_s, agreed_wh, parked.amounts_micro(agreed_wh))
    except TermsInvalid:
        sentence = f"Between {parked.undisputed_wh} and {parked.highest_wh} Wh can be agreed on, not {agreed_wh}."
        bounds = {"least_wh": parked.undisputed_wh, "most_wh": parked.highest_wh}
        raise AccountingRefused(sentence, code="out_of_range", **bounds) from None


def _signed(transaction: Transaction, told: Trade, message: Resolve, now_s: int) -> SignedEntry:
    return append(transaction, message, _answered(told), now_s, request_id=told.request_id)


def _disputed(transaction: Transaction, request_id: bytes) -> Trade:
    told = trade(transaction, request_id)
    if told is None or not told.resolving.disputed or told.resolution is not None:
        raise AccountingRefused("Nothing is disputed in this trade.", code="nothing_disputed")
    if told.settlement is None:
        raise AccountingRefused("What is undisputed has to be settled first.", code="not_settled")
    return told


def _answered(told: Trade) -> bytes:
    """The peer's newest proposal, else the Dispute."""
    proposal = told.resolving.proposed(own=False)
    if proposal is not None:
        return proposal.digest
    return next(stored.hash for stored, message in told.entries if isinstance(message, Dispute))
