"""What a peer shows of our own entries that we no longer hold: the database is an older copy, and what we signed binds.

Our signature is the proof, so nobody can make us adopt what we did not sign, and nobody can take back what we did by
restoring a copy. Before the first of such entries is kept, the epoch that they endanger is ended: nothing that we
sign from then on can stand at a place where we signed something else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ledger.entry import EntryType, SignedEntry
from ledger.errors import BadSignature, Fork, RemoteLedgerError, TooLarge
from ledger.message import SignedMessage
from ledger.own.key_changes import open_epoch
from ledger.store.transaction import Transaction

MAX_SHOWN: Final = 1_000
"""Entries and messages of one call: a long trade comes in several."""


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """A signed request, offer or counter and the trade that it is of."""

    message: SignedMessage
    request_id: bytes


Shown = SignedEntry | KeptMessage


@dataclass(slots=True)
class Adopted:
    """What came of it. opened: the KEY entry that ended our epoch, if that had to end; ours, theirs: newly kept.

    refused: what does not hold, with its code and sentence. forks: two different entries of ours for one place: our
    key is in two hands, or an older copy signed on unseen; the peer holds the proof.
    """

    opened: SignedEntry | None = None
    ours: list[SignedEntry] = field(default_factory=list)
    theirs: list[SignedEntry] = field(default_factory=list)
    refused: list[tuple[SignedEntry | KeptMessage, str, str]] = field(default_factory=list)
    forks: list[Fork] = field(default_factory=list)


def adopt(transaction: Transaction, shown: Sequence[Shown]) -> Adopted:
    """Keep what a peer shows of trades with us, ours and its own, in the order in which the peer has it.

    Ours come with the KEY entries of their epochs before them. What is not signed by us, or does not fit, changes
    nothing. Raises TooLarge, and what the disk raises.
    """
    if len(shown) > MAX_SHOWN:
        raise TooLarge(f"{len(shown)} entries are shown at once; {MAX_SHOWN} are the most")
    adopted = Adopted()
    for each in shown:
        try:
            _take(transaction, each, adopted)
        except Fork as fork:
            if fork.shown.entry.node == transaction.node:
                _forked(transaction, fork, adopted)
            else:
                adopted.refused.append((each, fork.code, str(fork)))
        except RemoteLedgerError as error:
            adopted.refused.append((each, error.code, str(error)))
        except ValueError as error:  # the posting rule
            adopted.refused.append((each, "refused", str(error)))
    return adopted


def shows_ours(transaction: Transaction, shown: Iterable[Shown]) -> bool:
    """Whether anything is shown that we signed and do not hold: asked before any of it is kept, since a peer shows what
    it likes. Raises BadSignature for an entry in our name that we did not sign: an honest peer holds none."""
    for each in shown:
        if not isinstance(each, SignedEntry) or each.entry.node != transaction.node:
            continue
        if transaction.entry(each.hash) is None and _is_signed(transaction, each):
            return True
    return False


def _is_signed(transaction: Transaction, shown: SignedEntry) -> bool:
    try:
        shown.check(transaction.keys_of(transaction.node).signer_of(shown, ours=True))
    except BadSignature:
        raise
    except RemoteLedgerError:
        return False
    return True


def _take(transaction: Transaction, shown: Shown, adopted: Adopted) -> None:
    if isinstance(shown, KeptMessage):
        said = shown.message
        transaction.keep_message(said.kind, said.signer, said.payload, said.signature, shown.request_id)
        return
    if shown.entry.node != transaction.node:
        if transaction.receive(shown):
            adopted.theirs.append(shown)
        return
    # one epoch is enough: nothing that is shown can be of one that began just now
    if adopted.opened is None and _is_news(transaction, shown) and _endangers(transaction, shown):
        adopted.opened = open_epoch(transaction)
    if transaction.receive(shown, adopting=True):
        adopted.ours.append(shown)


def _is_news(transaction: Transaction, shown: SignedEntry) -> bool:
    """Whether we signed this, and hold nothing at its place. Raises what a false one raises."""
    entry = shown.entry
    if transaction.entry_at(entry.node, entry.epoch, entry.seq) is not None:
        return False
    keys = transaction.keys_of(entry.node)
    shown.check(keys.signer_of(shown, ours=True))
    if entry.type is EntryType.KEY:
        keys.with_entry(shown)  # anybody can sign a revocation by an offline key that is not ours
    return True


def _endangers(transaction: Transaction, shown: SignedEntry) -> bool:
    """Whether our live epoch can hold more than we know: the entry is of it, or of one that may have followed it."""
    epoch = shown.entry.epoch
    keys = transaction.keys_of(transaction.node)
    return epoch == keys.live or not transaction.holds_epoch(transaction.node, epoch)


def _forked(transaction: Transaction, fork: Fork, adopted: Adopted) -> None:
    """Our copy signed on where another one had: it may have done so further on."""
    adopted.forks.append(fork)
    if fork.shown.entry.epoch == transaction.keys_of(transaction.node).live:
        adopted.opened = open_epoch(transaction)
