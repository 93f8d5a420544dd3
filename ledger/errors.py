"""What can go wrong with signed bytes, and whose fault it is. Foreign exceptions are translated to these once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ledger.entry import SignedEntry


class LedgerError(Exception):
    """Base of every error that this package raises. `code` is for programs, the message a sentence for people."""

    code = "ledger"


class LocalLedgerError(LedgerError):
    """Our own side: the caller, the disk, or the machine."""

    code = "ledger_local"


class Unencodable(LocalLedgerError):
    """The value is outside the codec's rules (see `ledger.cbor`)."""

    code = "unencodable"


class Misuse(LocalLedgerError):
    """The caller asked for a step that the rules of entries and chains forbid. Nothing was changed."""

    code = "misuse"


class Unbalanced(LocalLedgerError):
    """Postings that don't sum to zero per currency and state, or don't fit the form of `accounts.Posting`."""

    code = "unbalanced"


class StoreFailed(LocalLedgerError):
    """The database can't be opened, read or written. The open transaction was rolled back."""

    code = "store"


class Damaged(StoreFailed):
    """What should be a database is none, or parts of it can't be read."""

    code = "damaged"


class Corrupt(LocalLedgerError):
    """A stored row is not what this package writes. `audit.verify` says which and why."""

    code = "corrupt"


class NotDurable(LocalLedgerError):
    """The database did not accept the settings under which nothing acknowledged can be lost (`sqlite`, `postgres`)."""

    code = "not_durable"


class WrongOwner(LocalLedgerError):
    """The database belongs to another node's key."""

    code = "wrong_owner"


class UnknownSchema(LocalLedgerError):
    """The database was written by a version of this software that this one does not know."""

    code = "unknown_schema"


class KeyMissing(LocalLedgerError):
    """The key that signs for this node now is another than the one that we were given: rotated, or given up."""

    code = "key_missing"


class BeyondHead(LocalLedgerError):
    """A peer showed an entry of our own that we don't hold: this database is an old copy, and may not sign on."""

    code = "beyond_head"


class Full(LocalLedgerError):
    """A bounded table or queue has no room left."""

    code = "full"


class Closed(LocalLedgerError):
    """The ledger, writer or transaction is no longer open."""

    code = "closed"


class DirectoryHeld(LocalLedgerError):
    """Another process owns the data directory. `pid` is what it wrote there, None when unreadable."""

    code = "directory_held"

    def __init__(self, sentence: str, pid: int | None) -> None:
        super().__init__(sentence)
        self.pid = pid


class LedgerHeld(LocalLedgerError):
    """Another process writes to the ledger's database."""

    code = "ledger_held"


class RemoteLedgerError(LedgerError):
    """The bytes that we were given break the rules; whoever made them is at fault."""

    code = "ledger_remote"


class Malformed(RemoteLedgerError):
    """Not the agreed form: truncated, a type or length that is not allowed, a field that does not fit."""

    code = "malformed"


class NotCanonical(RemoteLedgerError):
    """The same value has another, shorter or ordered encoding; only that one is accepted."""

    code = "not_canonical"


class TooLarge(RemoteLedgerError):
    """More bytes, or deeper nesting, than the named bound."""

    code = "too_large"


class BadSignature(RemoteLedgerError):
    """The signature is not this key's over these bytes in this form."""

    code = "bad_signature"


class BadCommitment(RemoteLedgerError):
    """Salt and body are not what the entry commits to, or the salt is not the trade's."""

    code = "bad_commitment"


class Foreign(RemoteLedgerError):
    """The entry is of another node than the chain it was put to."""

    code = "foreign"


class Gap(RemoteLedgerError):
    """An entry is missing: a sequence number was left out, or the entry before is needed and not held."""

    code = "gap"


class BrokenChain(RemoteLedgerError):
    """`prev` is not the hash of the entry before, or a chain or epoch does not begin as it must."""

    code = "broken_chain"


class Unanswered(RemoteLedgerError):
    """The entry must answer something of the same trade, and what it names is not held."""

    code = "unanswered"


class UnknownOrigin(RemoteLedgerError):
    """A checkpoint or cosignature whose name is no node's, or not the one that is asked about."""

    code = "unknown_origin"


class WrongCheckpoint(RemoteLedgerError):
    """Well signed, and not what the chain was at that place; or a cosignature on none of its checkpoints."""

    code = "wrong_checkpoint"


class BadProof(RemoteLedgerError):
    """A Merkle proof does not lead to the root, or does not have the form of one for these sizes."""

    code = "bad_proof"


class Revoked(RemoteLedgerError):
    """Signed by a key that its owner has revoked, and not held before that was known."""

    code = "revoked"


class NoFork(RemoteLedgerError):
    """Two statements of a node that an honest one may well have signed: they prove nothing."""

    code = "no_fork"


class Forked(RemoteLedgerError):
    """The node signed two histories, and the proof is held here: nothing of it is cosigned, and no trade begun."""

    code = "forked"


class AnsweredAlready(RemoteLedgerError):
    """The entry answers one of ours that has its one answer: a second would count twice."""

    code = "answered_already"


class Fork(RemoteLedgerError):
    """One node signed two different entries for the same epoch and sequence number. Both are the proof."""

    code = "fork"

    def __init__(self, sentence: str, held: SignedEntry, shown: SignedEntry) -> None:
        super().__init__(sentence)
        self.held = held
        self.shown = shown
