"""A client and a provider with real ledgers, who trade without end. What is told is what stands in the outbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.entry import EntryType, SignedEntry
from ledger.errors import RemoteLedgerError
from ledger.message import SignedMessage
from ledger.signing import Signer
from ledger.store.ledger import FILE_NAME, Ledger
from ledger.store.transaction import Entropy, Transaction
from tests.ledger import world
from tests.powercut.shim import Stage
from tests.powercut.witness import Mouth

INTERVALS: Final = 3
"""Of one trade."""

FAR_MS: Final = 2**40


@dataclass(slots=True)
class Party:
    """One machine: a directory of its own, with a ledger."""

    signer: Signer
    peer: bytes
    directory: Path
    entropy: Entropy
    ledger: Ledger

    @classmethod
    def open(cls, signer: Signer, peer: Signer, directory: Path, entropy: Entropy) -> Party:
        """As a node that starts does."""
        return cls(signer, peer.public, directory, entropy, _open(signer, directory, entropy))

    @property
    def path(self) -> Path:
        return self.directory / FILE_NAME

    def reopen(self) -> None:
        """Leave in order, and start again."""
        self.ledger.close()
        self.ledger = _open(self.signer, self.directory, self.entropy)

    def waiting(self) -> list[SignedEntry]:
        """What the peer has not acknowledged."""
        return [each.signed for each in self.ledger.transact(lambda tx: tx.outbox())]

    def begin(self) -> None:
        """A client accepts an offer."""
        request_id = self.entropy(16)
        self.ledger.transact(lambda tx: self._accept(tx, request_id))

    def take(self, signed: SignedEntry) -> None:
        """Keep what the peer tells, and answer it, in one transaction. Raises RemoteLedgerError."""
        self.ledger.transact(lambda tx: self._take(tx, signed))

    def forget(self, signed: SignedEntry) -> None:
        """The peer has acknowledged it."""
        self.ledger.transact(lambda tx: tx.outbox_done(signed.hash))

    def _accept(self, tx: Transaction, request_id: bytes) -> None:
        offer = _keep_offer(tx, request_id)
        self._say(tx, EntryType.ACCEPT, request_id, offer.hash)
        tx.lock(request_id, "purchase", 1, 0, FAR_MS)

    def _take(self, tx: Transaction, signed: SignedEntry) -> None:
        request_id = signed.request_id
        if signed.entry.type is EntryType.ACCEPT and request_id is not None:
            _keep_offer(tx, request_id)
        if tx.receive(signed) and request_id is not None:
            self._answer(tx, signed, request_id)

    def _answer(self, tx: Transaction, signed: SignedEntry, request_id: bytes) -> None:
        match signed.entry.type:
            case EntryType.ACCEPT:
                self._say(tx, EntryType.CONFIRM, request_id, signed.hash)
                self._say(tx, EntryType.INTERVAL, request_id)
                tx.lock(request_id, "sale", 1, 0, FAR_MS)
            case EntryType.INTERVAL:
                self._say(tx, EntryType.RECEIPT, request_id, signed.hash)
            case EntryType.RECEIPT:
                receipts = sum(each.type is EntryType.RECEIPT for each in tx.entries(request_id))
                self._say(tx, EntryType.INTERVAL if receipts < INTERVALS else EntryType.CLOSE, request_id)
            case EntryType.CLOSE:
                self._say(tx, EntryType.CLOSED, request_id, signed.hash)
                tx.unlock(request_id)
            case EntryType.CLOSED:
                tx.unlock(request_id)

    def _say(self, tx: Transaction, type_: EntryType, request_id: bytes, answers: bytes = b"") -> None:
        """Append, and remember to tell it. A body is as a meter's reading is: never twice the same."""
        size = 40 + self.entropy(1)[0]
        signed = tx.append(type_, self.entropy(size), answers=answers, request_id=request_id)
        tx.outbox_add(self.peer, signed)
        tx.put("state", self.entropy(size * (1 + self.entropy(1)[0] // 16)))


def trading(client: Party, provider: Party, mouth: Mouth, reach: Callable[[Stage], None]) -> Iterator[None]:
    """A step at each turn, without end: tell what waits; where nothing waits, begin a trade."""
    while True:
        told = False
        for sender, receiver in ((client, provider), (provider, client)):
            for signed in sender.waiting():
                told = True
                reach(Stage.COMMITTED)
                _tell(signed, sender, receiver, mouth, reach)
                yield
        if not told:
            client.begin()
            yield


def settle(client: Party, provider: Party, mouth: Mouth, reach: Callable[[Stage], None]) -> None:
    """Tell what waits, and what that brings, until nothing waits."""
    steps = trading(client, provider, mouth, reach)
    while client.waiting() or provider.waiting():
        next(steps)


def _tell(signed: SignedEntry, sender: Party, receiver: Party, mouth: Mouth, reach: Callable[[Stage], None]) -> None:
    mouth.told(signed)
    reach(Stage.TOLD)
    try:
        receiver.take(signed)
    except RemoteLedgerError as error:
        mouth.note(f"refused:{error.code}")
    else:
        mouth.held(receiver.signer.public, signed.hash)
    sender.forget(signed)


def _open(signer: Signer, directory: Path, entropy: Entropy) -> Ledger:
    return Ledger.open(directory / FILE_NAME, signer, posting_rule=world.rule, entropy=entropy)


def _keep_offer(tx: Transaction, request_id: bytes) -> SignedMessage:
    offer = world.offer(request_id)
    tx.keep_message(offer.kind, offer.signer, offer.payload, offer.signature, request_id)
    return offer
