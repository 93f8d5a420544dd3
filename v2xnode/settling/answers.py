"""Entries of no trade that answer each other, and whether one has its answer."""

from ledger.entry import EntryType
from ledger.store.view import StoredEntry, View
from market.terms import Net, Pay
from v2xnode.envelope import message_of

PAIRED = frozenset({EntryType.NET, EntryType.PAY})


def paired(view: View, digest: bytes) -> tuple[StoredEntry, Net | Pay] | None:
    """The Net or Pay of that hash, own or a peer's."""
    stored = view.entry(digest) if digest else None
    message = message_of(stored.signed) if stored is not None and stored.type in PAIRED else None
    return (stored, message) if stored is not None and isinstance(message, Net | Pay) else None


def answers_to(view: View, stored: StoredEntry, message: Net | Pay) -> list[StoredEntry]:
    """The entries of the other side that answer one of no trade, oldest first."""
    other = message.peer if stored.own else view.node
    later = view.apart(stored.type, other, after=stored.position)
    return [each for each in later if each.entry.answers == stored.hash]


def is_answered(view: View, stored: StoredEntry, message: Net | Pay) -> bool:
    """Whether the other side has signed too: its entry answers this one, or this one its."""
    held = view.entry(stored.entry.answers) if stored.entry.answers else None
    answering = held is not None and held.type is stored.type and held.own is not stored.own
    return answering or bool(answers_to(view, stored, message))


def is_crossed(view: View, stored: StoredEntry, message: Net | Pay) -> bool:
    """Whether a peer's Pay is of a payment that we have signed unasked as well: both have moved their books by it.

    Ours is open, over the same amount, and says the other side of it; the two may name another means.
    """
    if stored.own or not isinstance(message, Pay) or message.draws:
        return False
    wanted = (stored.entry.node, message.amount_micro, message.currency, not message.received)
    own = ((each, message_of(each.signed)) for each in view.apart(EntryType.PAY, view.node) if not each.entry.answers)
    return any(
        (said.peer, said.amount_micro, said.currency, said.received) == wanted and not is_answered(view, each, said)
        for each, said in own
        if isinstance(said, Pay) and not said.draws
    )
