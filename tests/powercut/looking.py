"""What a party's ledger has to hold after a death, whatever that was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ledger.audit.verify import verify
from ledger.entry import EntryType
from ledger.store.reader import LedgerReader
from ledger.store.transaction import Transaction
from ledger.store.view import StoredEntry
from tests.ledger import world
from tests.powercut.parties import Party
from tests.powercut.witness import Witness

OPENS: Final = (EntryType.ACCEPT, EntryType.CONFIRM)
"""The first entry of our own in a trade comes with its lock."""


def look(party: Party, peer: Party, witness: Witness) -> Iterator[str]:
    """What is wrong, by name, once for each: an entry of its own that it has told, or one of the peer's that it has
    acknowledged, is not there (`lost`); a commit is there by halves (`halved`); the ledger does not hold (`unsound`).
    """
    own = party.signer.public
    entries = party.ledger.transact(_all)
    held = {each.hash for each in entries}
    for _, hashes in witness.told_by(own):
        if not hashes & held:
            yield "lost: told"
    yield from ("lost: acknowledged" for hash_ in witness.held[own] if hash_ not in held)
    yield from party.ledger.transact(lambda tx: _halved(tx, entries, witness.held[peer.signer.public]))
    with LedgerReader.open(party.path) as reader:
        report = verify(reader, world.rule)
    if report.fault is not None:
        yield f"unsound: {report.fault.code}"


def _all(tx: Transaction) -> Sequence[StoredEntry]:
    entries: list[StoredEntry] = []
    while page := tx.page(after=entries[-1].position if entries else 0):
        entries += page
    return entries


def _halved(tx: Transaction, entries: Sequence[StoredEntry], heard: set[bytes]) -> list[str]:
    """An entry stands in the outbox until its peer has it; a lock stands from a trade's first entry to its last."""
    waiting = {each.signed.hash for each in tx.outbox()}
    ours = {each.hash for each in entries if each.own and each.type.of_trade}
    opened = {each.request_id for each in entries if each.own and each.type in OPENS}
    closed = {each.request_id for each in entries if each.type is EntryType.CLOSED}
    locked = {each.request_id for each in tx.locks()}
    found = ["halved: outbox"] * len(ours - heard - waiting)
    return found + ["halved: lock"] * (locked != opened - closed)
