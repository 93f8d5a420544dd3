"""What a Pay moves, in the books of who signed it: money from outside, or a debt that a voucher moves to its issuer."""

from collections.abc import Sequence

from ledger.accounts import Posting, State
from ledger.store.view import StoredEntry
from market.terms import Draw, Pay
from v2xnode.settling.apart import Apart
from v2xnode.settling.names import covered, drawn, paid, payable, receivable, received


def pay_rule(before: object, stored: StoredEntry, message: Pay) -> Sequence[Posting]:
    """The payer's own Pay lowers what it owes, the payee's own what it is owed; a peer's moves nothing.

    before: what it answers has come to. Raises ValueError for a Pay of ours that answers another payment,
    and for a peer's that answers what we have signed with somebody else.
    """
    if not stored.own:
        if isinstance(before, Apart):
            before.check_answered_by(stored.entry.node)
        return ()
    if isinstance(before, Apart) and not (isinstance(before.message, Pay) and _answers(before, message)):
        raise ValueError("this answers another payment")
    draw = message.draw
    if draw is not None:
        return _drawn(stored.entry.node, message, draw)
    if message.received:
        return _moved(message, received(message.means), receivable(message.peer))
    return _moved(message, payable(message.peer), paid(message.means))


def _answers(before: Apart, message: Pay) -> bool:
    """A draw at its issuer answers the provider's, with the same amount: who was paid then pays the provider."""
    said = before.message
    if not isinstance(said, Pay) or before.own:
        return False
    if message.draw is not None and not message.received and said.received:
        return (said.amount_micro, said.currency, said.draws) == (message.amount_micro, message.currency, message.draws)
    return said.is_answered_by(message)


def _drawn(node: bytes, message: Pay, draw: Draw) -> Sequence[Posting]:
    """The debt moves to the voucher's issuer, and both the voucher and the trade remember how much."""
    noted = _moved(message, drawn(draw.voucher), covered(draw.trade))
    if node == draw.issuer:
        return (*_moved(message, receivable(draw.holder), payable(message.peer)), *noted)
    if message.received:
        return (*_moved(message, receivable(draw.issuer), receivable(message.peer)), *noted)
    return (*_moved(message, payable(message.peer), payable(draw.issuer)), *noted)


def _moved(message: Pay, to: str, out_of: str) -> tuple[Posting, Posting]:
    return (
        Posting(to, message.currency, message.amount_micro, State.POSTED),
        Posting(out_of, message.currency, -message.amount_micro, State.POSTED),
    )
