"""Twin of v2xnode/trading/correspondence.py: what a hostile peer's frame comes to."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from ledger.entry import Entry, EntryType, SignedEntry, commit, sign_entry
from ledger.proofs.proving import append_checkpoint
from ledger.witnessing import witnessed
from ledger.witnessing.forks import is_forked
from market.terms import CheckpointShown, Correspond, Means, Pay, Resume
from tests.support.doors import door
from tests.support.node_books import CLOCK, Table, table
from transports.memory import MemoryNetwork
from v2xnode.envelope import Item, Link, Plain, body_of, message_of, pack, unpack
from v2xnode.errors import PeerError
from v2xnode.events import EventLog
from v2xnode.links import AcceptedLink
from v2xnode.trading.correspondence import Correspondence


@dataclass(slots=True)
class Letterbox:
    """The provider's correspondence, and a link on which its client says what it likes."""

    world: Table
    correspondence: Correspondence
    link: AcceptedLink

    async def says(self, *items: Item) -> Sequence[Item]:
        frame = pack([Plain(Correspond()), *items], epoch=self.link.hello.epoch)
        return await self.correspondence.serve(self.link, unpack(frame))

    async def pays(self, amount_micro: int) -> Link:
        """A payment at the next place of the client's chain, signed and not kept there."""
        head = await self.world.client.books.run(lambda tx: tx.head())
        assert head is not None
        (kind, body), salt = body_of(Pay(self.world.provider.key, 0, amount_micro, Means.CASH)), bytes(16)
        last, client = head.entry, self.world.client.identity
        entry = Entry(1, last.node, last.epoch, last.seq + 1, last.hash, kind, b"", commit(salt, body))
        return linked(sign_entry(client.signer, entry, salt=salt, body=body, request_id=None))

    async def held(self, kind: EntryType) -> int:
        provider, client = self.world.provider, self.world.client
        return await provider.books.run(lambda tx: len(tx.apart(kind, client.key)))


def linked(signed: SignedEntry) -> Link:
    return Link(message_of(signed), signed)


@asynccontextmanager
async def letterbox(*, traded: bool = True) -> AsyncIterator[Letterbox]:
    network = MemoryNetwork(3)
    async with table() as world:
        if traded:
            await world.agree()
        us = world.provider
        dialer, acceptor = door(network, "dialer", world.client.identity), door(network, "acceptor", us.identity)
        async with dialer.links.serving(), acceptor.links.serving():
            opening = [Plain(Resume(bytes(16)))]
            link, _ = await dialer.links.dial("memory", "acceptor", us.key, lambda peer: opening)
            await link.ask(opening)
            correspondence = Correspondence(us.identity, us.books, CLOCK, EventLog(CLOCK))
            yield Letterbox(world, correspondence, acceptor.accepted[-1])


async def test_keys_alone_make_no_acquaintance() -> None:
    async with letterbox(traded=False) as box:
        genesis = await box.world.client.books.run(lambda tx: tx.key_entries(tx.node)[0])
        await box.world.provider.books.run(lambda tx: tx.receive(genesis))
        with pytest.raises(PeerError) as refused:
            await box.says(await box.pays(1))
        assert refused.value.code == "stranger"
        assert await box.held(EntryType.PAY) == 0


async def test_two_payments_for_one_place_are_a_fork_and_the_proof_is_kept() -> None:
    async with letterbox() as box:
        await box.says(await box.pays(1))
        with pytest.raises(PeerError) as refused:
            await box.says(await box.pays(2))
        assert refused.value.code == "fork"
        client = box.world.client.key
        assert await box.world.provider.books.run(lambda tx: is_forked(tx, client))


async def test_a_checkpoint_for_which_there_is_no_room_keeps_no_payment_from_being_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(witnessed, "MAX_EPOCHS", 0)
    async with letterbox() as box:
        held = await box.world.client.books.run(append_checkpoint)
        paid = await box.pays(1)
        answer = await box.says(Plain(CheckpointShown(bytes(held.note))), paid)
        opening = answer[0].message
        assert isinstance(opening, Correspond)
        assert opening.heard == (paid.digest,)
        assert await box.held(EntryType.PAY) == 1
