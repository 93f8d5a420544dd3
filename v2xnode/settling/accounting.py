"""What a peer's entries about money come to here: kept, and answered where no owner is needed."""

from ledger.entry import SignedEntry
from ledger.errors import AnsweredAlready, Malformed
from ledger.transaction import Transaction
from ledger.view import View
from market.terms import Net
from v2xnode.envelope import message_of
from v2xnode.settling import nets
from v2xnode.settling.answers import PAIRED, answers_to, paired
from v2xnode.settling.signing import AccountingRefused


def receive(transaction: Transaction, signed: SignedEntry, now_s: int) -> bool:
    """Keep a peer's Net, Pay or Resolve and answer it where our books alone decide: a Net that they bear out. False
    when it is held already.

    Raises AnsweredAlready for a second answer to an entry of ours, and what `Transaction.receive` raises. What our
    books do not bear out is kept and left unanswered: its owner sees it.
    """
    _check_first_answer(transaction, signed)
    try:
        kept = transaction.receive(signed)
    except ValueError as problem:  # the posting rule refuses what the peer signed
        raise Malformed(str(problem)) from None
    if not kept:
        return False
    message = message_of(signed)
    if isinstance(message, Net) and not signed.entry.answers:
        _answer_net(transaction, signed, now_s)
    return True


def _check_first_answer(view: View, signed: SignedEntry) -> None:
    """Both would count: the money of one pair would move twice."""
    answered = paired(view, signed.entry.answers) if signed.entry.type in PAIRED else None
    if answered is not None and any(each.hash != signed.hash for each in answers_to(view, *answered)):
        raise AnsweredAlready(f"{signed.entry.type.name} of ours is answered already")


def _answer_net(transaction: Transaction, signed: SignedEntry, now_s: int) -> None:
    try:
        nets.agree(transaction, signed.hash, now_s)
    except AccountingRefused:
        return
