"""Another key for a stopped node, in its chain and in its directory: a power cut leaves the old one or the new.

The new key is on the disk before the chain names it, and takes the old one's place after; `settle` finds out what a
cut left. The caller holds the directory's lock.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from ledger.entry import SignedEntry
from ledger.errors import Misuse
from ledger.own.key_changes import own_key_entries, rotate, succeed
from ledger.signing import Signer
from ledger.store.ledger import Ledger
from ledger.store.reader import LedgerReader
from ledger.store.transaction import Transaction
from v2xnode.entropy import Entropy
from v2xnode.errors import UsageError
from v2xnode.identity import (
    KEY_FILE,
    SEED_BYTES,
    Identity,
    PublicFacts,
    load_identity,
    load_public_facts,
    write_public_facts,
)
from v2xnode.revocation_key import RevocationKey
from v2xnode.secret_file import create_secret, read_secret, sync_directory
from v2xnode.settling.money import posting_rule

NEXT_KEY_FILE = "node.key.next"

Where = Path | str


def settle(data: Path, where: Where) -> None:
    """After a change of keys that was cut short: the directory's key becomes the one that the chain names."""
    path = data / NEXT_KEY_FILE
    if not path.exists():
        return
    with LedgerReader.open(where) as reader:
        node, keys = reader.node, reader.keys_of(reader.node)
    if keys.current == Signer(read_secret(path, SEED_BYTES)).public:
        write_public_facts(data, PublicFacts(node, keys.commitment))
        path.replace(data / KEY_FILE)
    else:
        path.unlink()
    sync_directory(data)


def open_ledger(data: Path, where: Where) -> Ledger:
    """The ledger of a directory for writing, after `settle`; a new one names the directory's revocation key.

    Raises LocalError for the key's file, or what `Ledger.open` raises.
    """
    settle(data, where)
    facts = load_public_facts(data)
    commitment = b"" if facts is None else facts.revocation
    return Ledger.open(where, load_identity(data).signer, posting_rule=posting_rule, commitment=commitment)


def rotate_key(data: Path, where: Where, entropy: Entropy, revocation: bytes | None = None) -> Identity:
    """Make a new key, and let it sign from now on. revocation: the hash of a first revocation key.

    Raises UsageError where the chain names another revocation key already, or what opening raises.
    """
    return _change(data, where, entropy, lambda tx, new: rotate(tx, new, revocation))


def revoke_keys(
    data: Path, where: Where, entropy: Entropy, offline: RevocationKey, next_offline: bytes
) -> Sequence[SignedEntry]:
    """Take every key's power away and make a new one; the KEY entries that show it to peers.

    Raises UsageError when `offline` is not the key that the chain names, or what opening raises.
    """
    _change(data, where, entropy, lambda tx, new: succeed(tx, offline.signer, new, next_offline))
    with LedgerReader.open(where) as reader:
        return own_key_entries(reader)


def give_up(data: Path, where: Where, offline: RevocationKey) -> Sequence[SignedEntry]:
    """Take every key's power away, and let nobody sign for this node any more. Raises as `revoke_keys`."""
    with open_ledger(data, where) as ledger:
        _step(ledger, lambda tx: succeed(tx, offline.signer, None, offline.commitment))
        return ledger.transact(own_key_entries)


def _change(data: Path, where: Where, entropy: Entropy, step: Callable[[Transaction, Signer], SignedEntry]) -> Identity:
    with open_ledger(data, where) as ledger:
        seed = entropy(SEED_BYTES)
        create_secret(data / NEXT_KEY_FILE, seed)
        sync_directory(data)
        try:
            _step(ledger, lambda tx: step(tx, Signer(seed)))
        finally:
            settle(data, where)
    return load_identity(data)


def _step(ledger: Ledger, step: Callable[[Transaction], SignedEntry]) -> None:
    try:
        ledger.transact(step)
    except Misuse as problem:
        raise UsageError(f"The chain does not allow this: {problem}.", code="key_refused") from None
