"""What a Net moves once both have signed it: the two directions of each currency cancel."""

from collections.abc import Iterator, Sequence

from ledger.accounts import Posting, State
from ledger.audit.pruned import Posted
from ledger.store.view import StoredEntry, View
from market.terms import Net, NetLine
from v2xnode.envelope import message_of
from v2xnode.settling.apart import Apart
from v2xnode.settling.names import payable, receivable


def net_rule(before: object, stored: StoredEntry, message: Net) -> Sequence[Posting]:
    """Nothing for a proposal; with the answer, whose ever that is, the offset of each line.

    before: what it answers has come to. Raises ValueError for an answer to something else, or of other balances.
    """
    if not stored.entry.answers:
        return ()
    if not isinstance(before, Apart) or before.own is stored.own or not isinstance(before.message, Net):
        raise ValueError("this answers no Net of the other side")
    before.check_answered_by(stored.entry.node)
    if not before.message.is_answered_by(message):
        raise ValueError("the two sides' balances differ")
    peer, ours = (message.peer, message) if stored.own else (before.message.peer, before.message)
    return [posting for line in ours.lines for posting in _offset(peer, line)]


def _offset(peer: bytes, line: NetLine) -> Iterator[Posting]:
    if line.offset_micro:
        yield Posting(payable(peer), line.currency, line.offset_micro, State.POSTED)
        yield Posting(receivable(peer), line.currency, -line.offset_micro, State.POSTED)


def between(view: View, peer: bytes) -> dict[str, NetLine]:
    """What is posted between us and a peer, by currency; who has paid too much is owed it."""
    owed = {unit: each.posted_micro for (_, unit), each in view.balances(account=receivable(peer)).items()}
    owing = {unit: each.posted_micro for (_, unit), each in view.balances(account=payable(peer)).items()}
    return {unit: _line(unit, owed.get(unit, 0), owing.get(unit, 0)) for unit in sorted(owed.keys() | owing.keys())}


def bears_out(stored: StoredEntry, posted: Posted) -> bool:
    """Whether our own Net says what was posted before it. See `ledger.audit.pruned.BooksRule`."""
    message = message_of(stored.signed)
    if not isinstance(message, Net):
        return False
    owed, owing = receivable(message.peer), payable(message.peer)
    currencies = {unit for account, unit in posted if account in (owed, owing)}
    lines = [_line(unit, posted.get((owed, unit), 0), posted.get((owing, unit), 0)) for unit in currencies]
    return {line for line in lines if line.is_open} == {line for line in message.lines if line.is_open}


def _line(currency: str, receivable_micro: int, payable_micro: int) -> NetLine:
    return NetLine(
        currency,
        max(0, receivable_micro) + max(0, payable_micro),
        max(0, -payable_micro) + max(0, -receivable_micro),
    )
