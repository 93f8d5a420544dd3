"""Two parties and one small trade, for the tests of the ledger. Bodies are any bytes here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from ledger import cbor
from ledger.accounts import Posting, State
from ledger.entry import Entry, EntryType, SignedEntry, commit, sign_entry, trade_salt
from ledger.keys.bodies import Genesis, encode_key
from ledger.message import MessageKind, SignedMessage, sign_message
from ledger.signing import Signer
from ledger.store.ledger import Ledger
from ledger.store.view import StoredEntry

CLIENT = Signer(bytes([1]) * 32)
PROVIDER = Signer(bytes([2]) * 32)
REQUEST = bytes([7]) * 16
EPOCH = bytes([9]) * 8
RECEIPT_MICRO = 1_500


def counted_entropy() -> Callable[[int], bytes]:
    """Different bytes at each call, the same in each run."""
    calls = iter(range(2**32))
    return lambda size: hashlib.sha256(next(calls).to_bytes(4, "big")).digest()[:size]


def rule(receipts: int | None, new: StoredEntry) -> tuple[int, Sequence[Posting]]:
    """A receipt holds an amount, a close gives all that back and posts it; body b"bad" is refused."""
    receipts = receipts or 0
    if new.body == b"bad":
        raise ValueError("a bad body")
    match new.type:
        case EntryType.RECEIPT:
            return receipts + 1, pair(RECEIPT_MICRO, State.PENDING)
        case EntryType.CLOSE:
            total = receipts * RECEIPT_MICRO
            return receipts, [*pair(total, State.VOID), *pair(total, State.POSTED)]
    return receipts, []


def pair(amount_micro: int, state: State) -> list[Posting]:
    return [Posting("energy", "EUR", amount_micro, state), Posting("peer", "EUR", -amount_micro, state)]


def open_ledger(where: Path | str, signer: Signer = CLIENT) -> Ledger:
    return Ledger.open(where, signer, posting_rule=rule, entropy=counted_entropy())


def offer(request_id: bytes = REQUEST, price: int = 30) -> SignedMessage:
    return sign_message(PROVIDER, MessageKind.OFFER, cbor.encode({0: request_id, 1: price}))


def keep(ledger: Ledger, message: SignedMessage, request_id: bytes = REQUEST) -> bool:
    return ledger.transact(
        lambda tx: tx.keep_message(message.kind, message.signer, message.payload, message.signature, request_id)
    )


class Chain:
    """The other party's chain, kept in memory."""

    def __init__(self, signer: Signer = PROVIDER, epoch: bytes = EPOCH) -> None:
        self.signer = signer
        self.epoch = epoch
        self.entries: list[SignedEntry] = []
        self.add(EntryType.KEY, encode_key(Genesis(signer.public)))

    def add(
        self, type: EntryType, body: bytes, answers: bytes = b"", request_id: bytes | None = REQUEST
    ) -> SignedEntry:
        signed = self.make(type, body, answers, request_id)
        self.entries.append(signed)
        return signed

    def make(
        self, type: EntryType, body: bytes, answers: bytes = b"", request_id: bytes | None = REQUEST
    ) -> SignedEntry:
        """The next entry, signed and not kept: made twice, it is a fork."""
        seq = len(self.entries)
        trade = request_id if type.of_trade else None
        salt = bytes(16) if trade is None else trade_salt(trade, self.epoch, seq)
        prev = self.entries[-1].hash if self.entries else bytes(32)
        entry = Entry(1, self.signer.public, self.epoch, seq, prev, type, answers, commit(salt, body))
        return sign_entry(self.signer, entry, salt=salt, body=body, request_id=trade)


def trade(ledger: Ledger, intervals: int = 2) -> Chain:
    """Offer, accept, confirm, intervals with receipts, close, closed; the ledger is the client's."""
    provider = Chain()
    keep(ledger, offer())
    ledger.transact(lambda tx: tx.receive(provider.entries[0]))
    accept = ledger.transact(
        lambda tx: tx.append(EntryType.ACCEPT, b"accept", answers=offer().hash, request_id=REQUEST)
    )
    last = provider.add(EntryType.CONFIRM, b"confirm", accept.hash)
    ledger.transact(lambda tx: tx.receive(last))
    for number in range(intervals):
        interval = provider.add(EntryType.INTERVAL, b"interval %d" % number)
        ledger.transact(lambda tx, interval=interval: tx.receive(interval))  # type: ignore[misc]
        ledger.transact(
            lambda tx, interval=interval, number=number: tx.append(  # type: ignore[misc]
                EntryType.RECEIPT, b"receipt %d" % number, answers=interval.hash, request_id=REQUEST
            )
        )
    close = ledger.transact(lambda tx: tx.append(EntryType.CLOSE, b"close", request_id=REQUEST))
    closed = provider.add(EntryType.CLOSED, b"closed", close.hash)
    ledger.transact(lambda tx: tx.receive(closed))
    return provider
