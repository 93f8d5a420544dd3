"""Two parties that keep real books of one trade, entry by entry, without nodes between them."""

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ledger.audit.verify import verify
from ledger.store.ledger import Ledger
from ledger.store.reader import LedgerReader
from ledger.store.writer import Writer
from market.terms import Accept, Confirm, EntryBody, Interval, Receipt
from tests.support.market_terms import offer, request
from v2xnode.clock import Clock
from v2xnode.envelope import Letter, Link, sign_letter
from v2xnode.identity import Identity
from v2xnode.settling.money import posting_rule
from v2xnode.settling.trades import Trade, trade
from v2xnode.trading.books import Books, Verdict

REQUEST_ID = b"r" * 16
CLOCK = Clock(1, 1_768_415_520_000, 0, lambda: 0.0, lambda: 0.0)
"""Stands still: what is appended here has one stamp."""


@dataclass(slots=True)
class Party:
    """One side: its key, its books and their file."""

    identity: Identity
    books: Books
    path: Path

    @property
    def key(self) -> bytes:
        return self.identity.public

    async def balance(self, account: str, currency: str = "EUR") -> tuple[int, int]:
        """(posted, pending) in millionths."""
        found = await self.books.run(lambda transaction: transaction.balance(account, currency))
        return found.posted_micro, found.pending_micro

    async def trade(self, request_id: bytes = REQUEST_ID) -> Trade | None:
        return await self.books.run(lambda transaction: trade(transaction, request_id))

    async def outbox(self) -> list[bytes]:
        return await self.books.run(lambda transaction: [each.signed.hash for each in transaction.outbox()])

    async def entries(self) -> int:
        return await self.books.run(lambda transaction: len(transaction.entries(REQUEST_ID)))

    def verified(self) -> bool:
        with LedgerReader.open(self.path) as reader:
            return verify(reader, posting_rule).ok


@dataclass(slots=True)
class Table:
    """Both sides of one trade, and what was said before it."""

    provider: Party
    client: Party
    letters: tuple[Letter, Letter]

    async def by(self, who: Party, message: EntryBody, answers: bytes) -> Link:
        """Appended by one side and received by the other. Raises what the other's books say to it."""
        entry = await who.books.append(self._other(who).key, REQUEST_ID, message, answers, letters=self.letters)
        await self._other(who).books.receive(entry, letters=self.letters)
        return entry

    def _other(self, who: Party) -> Party:
        return self.client if who is self.provider else self.provider

    async def agree(self) -> Link:
        """Accept and Confirm; the Confirm."""
        accept = await self.by(self.client, Accept(self.provider.key, 0, "EUR"), self.letters[1].digest)
        verdict = Verdict(Confirm(self.client.key, 0))
        confirm, _ = await self.provider.books.decide(REQUEST_ID, accept.digest, lambda view: verdict)
        await self.client.books.receive(confirm)
        return confirm

    async def interval(self, number: int, answers: bytes, register_wh: int = 0) -> Link:
        return await self.by(self.provider, Interval(self.client.key, number, number + 1, register_wh), answers)

    async def receipt(self, number: int, interval: Link, amounts_micro: Sequence[int]) -> Link:
        said = Receipt(self.provider.key, number, 0, 0, tuple(amounts_micro))
        return await self.by(self.client, said, interval.digest)


def _party(stack: ExitStack, path: Path, seed: bytes) -> Party:
    identity = Identity.from_seed(seed)
    writer = stack.enter_context(Writer(lambda: Ledger.open(path, identity.signer, posting_rule=posting_rule)))
    return Party(identity, Books(writer, CLOCK), path)


@asynccontextmanager
async def table() -> AsyncIterator[Table]:
    """Two parties with an offer between them. On leaving both ledgers still verify."""
    with tempfile.TemporaryDirectory(prefix="table-") as directory, ExitStack() as stack:
        provider = _party(stack, Path(directory) / "provider.db", b"\x01" * 32)
        client = _party(stack, Path(directory) / "client.db", b"\x02" * 32)
        asked = sign_letter(client.identity.signer, request(request_id=REQUEST_ID, provider=provider.key))
        offered = sign_letter(provider.identity.signer, offer(request_id=REQUEST_ID))
        yield Table(provider, client, (asked, offered))
        assert provider.verified()
        assert client.verified()
