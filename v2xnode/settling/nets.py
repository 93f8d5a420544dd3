"""The two sides of a Net: what our books hold between us and a peer, and whether they bear out what the peer says."""

from ledger.entry import EntryType, SignedEntry
from ledger.store.transaction import Transaction
from ledger.store.view import StoredEntry, View
from market.terms import Net, NetLine
from v2xnode.envelope import message_of
from v2xnode.settling.answers import answers_to, is_answered, paired
from v2xnode.settling.names import payable, receivable
from v2xnode.settling.netting import between
from v2xnode.settling.signing import AccountingRefused, append, short_amount


def propose(transaction: Transaction, peer: bytes, now_s: int) -> SignedEntry:
    """Sign the balances between us and a peer, for it to sign too.

    Raises AccountingRefused where nothing is posted between the two (`nothing_owed`), something is pending still
    (`pending`), or the same was proposed and is not answered yet (`proposed_already`).
    """
    _check_settled(transaction, peer)
    newest = transaction.newest_of(peer)
    head = None if newest is None else transaction.hash_at(peer, *newest)
    lines = tuple(between(transaction, peer).values())
    if head is None or not any(line.is_open for line in lines):
        raise AccountingRefused("Nothing is owed between us and this peer.", code="nothing_owed")
    open_ = _open_proposal(transaction, peer)
    if open_ is not None and open_.lines == lines:
        raise AccountingRefused("The same was proposed already, and waits for the peer.", code="proposed_already")
    return append(transaction, Net(peer, now_s, head, lines), b"", now_s)


def agree(transaction: Transaction, digest: bytes, now_s: int) -> SignedEntry:
    """Sign a peer's Net, if our books say the same.

    Raises AccountingRefused where there is none to sign (`no_net`, `answered_already`), where it names no entry of ours
    (`unknown_head`), something is pending (`pending`), the two proposals crossed and ours stands (`crossed`: the one of
    the lower key), or the books differ (`books_differ`; the sentence says by how much).
    """
    stored, message = _proposal(transaction, digest)
    peer = stored.entry.node
    if transaction.node < peer and _open_proposal(transaction, peer) is not None:
        raise AccountingRefused("Our own proposal waits for the peer's answer.", code="crossed")
    _check_settled(transaction, peer)
    known = transaction.entry(message.peer_head)
    if known is None or not known.own:
        raise AccountingRefused("The peer's Net names an entry of ours that does not exist.", code="unknown_head")
    ours = Net(peer, now_s, stored.hash, _lines_for(transaction, peer, message))
    if not message.is_answered_by(ours):
        raise AccountingRefused(_difference(message, ours), code="books_differ")
    return append(transaction, ours, digest, now_s)


def signed_by_both(view: View, peer: bytes) -> StoredEntry | None:
    """Our own entry of the newest Net that both have signed."""
    own = reversed(_own(view, peer))
    return next((stored for stored, message in own if is_answered(view, stored, message)), None)


def is_news(view: View, peer: bytes) -> bool:
    """Whether the balances are other ones than the newest Net of both has left; at first, whether there are any."""
    both = (message for stored, message in reversed(_own(view, peer)) if is_answered(view, stored, message))
    newest = next(both, None)
    left = {line.after_offset for line in newest.lines} if newest is not None else set()
    return {line for line in between(view, peer).values() if line.is_open} != {line for line in left if line.is_open}


def own_side(view: View, digest: bytes) -> tuple[StoredEntry, Net] | None:
    """Our own entry of a Net that both have signed, given either side's hash."""
    found = paired(view, digest)
    if found is not None and not found[0].own:
        answered = paired(view, found[0].entry.answers)
        found = answered or next((paired(view, each.hash) for each in answers_to(view, *found)), None)
    if found is None or not found[0].own or not is_answered(view, *found):
        return None
    stored, message = found
    return (stored, message) if isinstance(message, Net) else None


def _open_proposal(view: View, peer: bytes) -> Net | None:
    """Our newest Net with a peer, if it is a proposal without an answer."""
    newest = _own(view, peer)[-1:]
    return next((message for stored, message in newest if not is_answered(view, stored, message)), None)


def _own(view: View, peer: bytes) -> list[tuple[StoredEntry, Net]]:
    own = ((stored, message_of(stored.signed)) for stored in view.apart(EntryType.NET, view.node))
    return [(stored, message) for stored, message in own if isinstance(message, Net) and message.peer == peer]


def _proposal(view: View, digest: bytes) -> tuple[StoredEntry, Net]:
    stored, message = paired(view, digest) or (None, None)
    if stored is None or stored.own or not isinstance(message, Net) or stored.entry.answers:
        raise AccountingRefused("No peer has proposed this Net.", code="no_net")
    if is_answered(view, stored, message):
        raise AccountingRefused("This Net is signed by both already.", code="answered_already")
    return stored, message


def _check_settled(view: View, peer: bytes) -> None:
    names = (receivable(peer), payable(peer))
    pending = [name for name in names for balance in view.balances(account=name).items() if balance[1].pending_micro]
    if pending:
        raise AccountingRefused("A trade with this peer is not settled yet.", code="pending")


def _lines_for(view: View, peer: bytes, said: Net) -> tuple[NetLine, ...]:
    """Ours in the currencies that the peer names, and any other in which something is owed."""
    ours = between(view, peer)
    moved = {currency for currency, line in ours.items() if line.is_open}
    currencies = sorted(moved | {line.currency for line in said.lines})
    return tuple(ours.get(currency, NetLine(currency, 0, 0)) for currency in currencies)


def _difference(said: Net, ours: Net) -> str:
    theirs = {line.currency: line.mirrored for line in said.lines}
    parts = []
    for line in ours.lines:
        other = theirs.get(line.currency, NetLine(line.currency, 0, 0))
        for what, our_micro, their_micro in (
            ("owed to us", line.owed_micro, other.owed_micro),
            ("owed by us", line.owing_micro, other.owing_micro),
        ):
            if our_micro != their_micro:
                figures = f"{short_amount(our_micro, line.currency)} by our books, "
                parts.append(f"{what}: {figures}{short_amount(their_micro, line.currency)} by the peer's")
    return f"The two sides' books differ: {'; '.join(parts)}."
