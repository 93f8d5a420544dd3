"""A node's data directory as `init` and a first start leave it, without the commands."""

import os
from pathlib import Path

from ledger.audit.verify import Report, verify
from ledger.entry import SignedEntry
from ledger.proofs.proving import append_checkpoint
from ledger.store.reader import LedgerReader
from v2xnode.backup.sealed import Cost
from v2xnode.config import CONFIG_FILE, DATABASE_FILE
from v2xnode.identity import Identity, create_identity
from v2xnode.meter_key import create_meter_key
from v2xnode.revocation_key import RevocationKey
from v2xnode.rotation import open_ledger
from v2xnode.settling.money import posting_rule

PASSPHRASE = b"correct horse battery"
CHEAP = Cost(ops=1, memory_kib=8)
PAPER = RevocationKey(bytes([7]) * 32)
AT_MS = 1_764_000_000_000


def make_directory(data: Path, *, revocation: bytes = PAPER.commitment) -> Identity:
    """Keys, configuration, and a ledger of two entries."""
    data.mkdir(mode=0o700)
    identity = create_identity(data, revocation)
    create_meter_key(data)
    (data / CONFIG_FILE).write_text('[node]\nname = "restored"\n')
    sign(data)
    return identity


def sign(data: Path) -> SignedEntry:
    """One more entry, by the key that the directory holds."""
    with open_ledger(data, data / DATABASE_FILE) as ledger:
        return ledger.transact(append_checkpoint).stored.signed


def head(data: Path) -> SignedEntry:
    with LedgerReader.open(data / DATABASE_FILE) as reader:
        stored = reader.head()
    assert stored is not None
    return stored.signed


def report(data: Path) -> Report:
    with LedgerReader.open(data / DATABASE_FILE) as reader:
        return verify(reader, posting_rule)


def names(data: Path) -> set[str]:
    """What is in a directory, but for the lock, which stays, and what readers leave beside a database."""
    passing = {"node.lock", f"{DATABASE_FILE}-wal", f"{DATABASE_FILE}-shm"}
    return set(os.listdir(data)) - passing if data.exists() else set()
