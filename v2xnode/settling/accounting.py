"""What a peer's entries about money come to here: kept, and answered where no owner is needed."""

from ledger.entry import EntryType, SignedEntry
from ledger.errors import AnsweredAlready, Malformed, TooLarge
from ledger.store.transaction import Transaction
from ledger.store.view import StoredEntry, View
from market.terms import Pay
from v2xnode.settling import drawing, nets
from v2xnode.settling.answers import PAIRED, answers_to, is_answered, paired
from v2xnode.settling.signing import AccountingRefused

MAX_OPEN = 16
"""Newest payments of a peer that are looked at again when more of it comes: more than are under way at a time."""
MAX_UNANSWERED = 256
"""Payments of a peer that our owner has not confirmed, and nets that our books do not bear out, in a row."""
MAX_UNHEARD = 16
"""Entries that a peer has not acknowledged. Until it does we answer nothing more: the outbox is for others too."""


def receive(transaction: Transaction, signed: SignedEntry, now_s: int) -> bool:
    """Keep a peer's Net, Pay or Resolve and answer it where our books alone decide: a Net that they bear out, a payment
    by a voucher that we take. False when it is held already.

    Raises AnsweredAlready for a second answer to an entry of ours, TooLarge where `MAX_UNANSWERED` wait for ours, and
    what `Transaction.receive` raises. What our
    books do not bear out is kept and left unanswered: its owner sees it.
    """
    _check_first_answer(transaction, signed)
    _check_room(transaction, signed)
    try:
        kept = transaction.receive(signed)
    except ValueError as problem:  # the posting rule refuses what the peer signed
        raise Malformed(str(problem)) from None
    if not kept:
        return False
    answer_open(transaction, signed.entry.node, now_s)
    return True


def answer_open(transaction: Transaction, peer: bytes, now_s: int) -> None:
    """Answer what a peer has said and our books bear out by now: it may have come before what it rests on."""
    newest = transaction.newest_of(peer)
    if newest is None or len(transaction.outbox(peer)) >= MAX_UNHEARD:
        return
    epoch, _ = newest
    for stored in reversed(transaction.newest_apart(EntryType.PAY, peer, epoch, MAX_OPEN)):
        said = paired(transaction, stored.hash)
        if said is not None and isinstance(said[1], Pay) and not is_answered(transaction, *said):
            drawing.answer(transaction, stored, said[1], now_s)
    for stored in transaction.newest_apart(EntryType.NET, peer, epoch, 1):
        if not stored.entry.answers and nets.is_news(transaction, peer):
            _answer_net(transaction, stored.hash, now_s)


def _check_room(view: View, signed: SignedEntry) -> None:
    """Nobody fills our disk with what we leave unanswered."""
    if signed.entry.type not in PAIRED or view.entry(signed.hash) is not None:
        return
    newest = view.last_apart(signed.entry.type, signed.entry.node, MAX_UNANSWERED)
    if len(newest) == MAX_UNANSWERED and not any(_is_answered(view, each) for each in newest):
        raise TooLarge(f"{MAX_UNANSWERED} {signed.entry.type.name} of this peer wait for an answer of ours")


def _is_answered(view: View, stored: StoredEntry) -> bool:
    said = paired(view, stored.hash)
    return said is not None and is_answered(view, *said)


def _check_first_answer(view: View, signed: SignedEntry) -> None:
    """Both would count: the money of one pair would move twice."""
    answered = paired(view, signed.entry.answers) if signed.entry.type in PAIRED else None
    if answered is not None and any(each.hash != signed.hash for each in answers_to(view, *answered)):
        raise AnsweredAlready(f"{signed.entry.type.name} of ours is answered already")


def _answer_net(transaction: Transaction, digest: bytes, now_s: int) -> None:
    try:
        nets.agree(transaction, digest, now_s)
    except AccountingRefused:
        return
