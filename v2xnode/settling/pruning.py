"""Dropping what was netted: bodies and salts of trades that are over, before a Net that both have signed.

Payloads, signatures and postings stay, so that the chain, its tree, receipts given before and the balances still hold;
who traded what and when is gone. Nothing brings it back.
"""

from collections.abc import Iterator, Sequence

from ledger.entry import EntryType
from ledger.store.transaction import Transaction
from ledger.store.view import StoredEntry, View
from v2xnode.settling.nets import own_side, signed_by_both
from v2xnode.settling.signing import AccountingRefused
from v2xnode.settling.trades import Trade, trade

OVER = frozenset({"settled", "resolved", "void", "rejected"})


def prune(transaction: Transaction, digest: bytes) -> Sequence[bytes]:
    """Drop the bodies of all trades with a Net's peer that are over and wholly before our own entry of it; the request
    ids. digest: of either side's Net. Raises AccountingRefused where not both have signed it (`no_net`)."""
    found = own_side(transaction, digest)
    if found is None:
        raise AccountingRefused("No Net of both parties has this hash.", code="no_net")
    ours, message = found
    return _pruned(transaction, message.peer, ours.position)


def prune_before_newest(transaction: Transaction, peer: bytes) -> Sequence[bytes]:
    """As `prune`, before the newest Net with a peer."""
    newest = signed_by_both(transaction, peer)
    if newest is None:
        raise AccountingRefused("There is no Net with this peer that both have signed.", code="no_net")
    return _pruned(transaction, peer, newest.position)


def _pruned(transaction: Transaction, peer: bytes, position: int) -> Sequence[bytes]:
    waiting = {each.signed.request_id for each in transaction.outbox()}
    waiting |= {lock.request_id for lock in transaction.locks()}
    done = []
    for request_id in _begun_before(transaction, position):
        told = trade(transaction, request_id)
        if told is not None and request_id not in waiting and _may_go(told, peer, position):
            transaction.drop_bodies(request_id)
            done.append(request_id)
    return done


def _may_go(told: Trade, peer: bytes, position: int) -> bool:
    """A trade with this peer that is over, whose every entry came before, with the peer's among them."""
    stored = [each for each, _ in told.entries]
    whole = all(each.position < position for each in stored) and any(not each.own for each in stored)
    return told.peer == peer and told.state in OVER and told.parked is None and whole


def _begun_before(view: View, position: int) -> Iterator[bytes]:
    """Trades whose Accept came before, that are not pruned already."""
    for stored in _before(view, position):
        if stored.type is EntryType.ACCEPT and stored.request_id is not None and not stored.pruned:
            yield stored.request_id


def _before(view: View, position: int) -> Iterator[StoredEntry]:
    after = 0
    while page := [each for each in view.page(after=after) if each.position < position]:
        after = page[-1].position
        yield from page
