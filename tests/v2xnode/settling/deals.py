"""A trade at a table of two parties, brought as far as a test needs it."""

from market.errors import Reason
from market.terms import Close
from tests.support.node_books import Party, Table
from v2xnode.envelope import Link
from v2xnode.settling.names import receivable


async def owed(world: Table) -> tuple[int, int]:
    """What the provider's books say that the client owes: posted, pending."""
    return await world.provider.balance(receivable(world.client.key))


async def delivered(world: Table, *amounts_micro: int) -> Link:
    """An agreement with receipts of these cumulative amounts; the newest."""
    answers = (await world.agree()).digest
    newest = None
    for number, amount in enumerate((0, *amounts_micro)):
        interval = await world.interval(number, answers, number)
        newest = await world.receipt(number, interval, (amount,))
        answers = newest.digest
    assert newest is not None
    return newest


def closing(world: Table, who: Party, amount_micro: int, receipts: int = 3) -> Close:
    peer = world.client.key if who is world.provider else world.provider.key
    return Close(peer, 0, Reason.ENERGY_REACHED, receipts, 0, (amount_micro,))
