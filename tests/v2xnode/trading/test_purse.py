"""Twin of v2xnode/trading/purse.py: what a peer shows as a voucher."""

from ledger import cbor
from ledger.message import MessageKind, SignedMessage, sign_message
from ledger.signing import Signer
from market.terms import MessageType, Resume, Shown, to_map
from market.voucher import Voucher
from tests.support.doors import Door, door
from tests.support.node_books import CLOCK, Party, table
from transports.memory import MemoryNetwork
from v2xnode.envelope import Plain
from v2xnode.events import EventLog
from v2xnode.links import AcceptedLink
from v2xnode.settling import vouchers
from v2xnode.trading.purse import Purse

ISSUER = Signer(bytes([7]) * 32)


def made_up(holder: bytes) -> SignedMessage:
    said = Voucher(serial=bytes(16), issuer=ISSUER.public, holder=holder, amount_micro=1, until_s=4_000_000_000)
    return sign_message(ISSUER, MessageKind.VOUCHER, cbor.encode(to_map(said)))


async def link_of(dialer: Door, acceptor: Door) -> AcceptedLink:
    """As the acceptor has it, once the dialer has said something on it."""
    link, _ = await dialer.links.dial("memory", "acceptor", acceptor.node, lambda peer: [Plain(Resume(bytes(16)))])
    await link.ask([Plain(Resume(bytes(16)))])
    return acceptor.accepted[-1]


async def shown_by(other: Party, us: Party, message: SignedMessage) -> list[str]:
    """The codes of the events that come of a peer's showing it to us."""
    network, events = MemoryNetwork(3), EventLog(CLOCK)
    dialer, acceptor = door(network, "dialer", other.identity), door(network, "acceptor", us.identity)
    said = Shown(message.payload, message.signature, kind=int(message.kind), signer=message.signer)
    async with dialer.links.serving(), acceptor.links.serving():
        link = await link_of(dialer, acceptor)
        purse = Purse(us.books, CLOCK, events, "EUR")
        assert await purse.keep_shown(link, [[int(MessageType.SHOWN), to_map(said)]]) == []
    return [str(each.data.get("code")) for each in events.since(0)]


async def test_a_peer_gives_us_no_voucher_to_carry() -> None:
    """It would stand among ours, in their place where there are many, and be shown to providers."""
    async with table() as world:
        codes = await shown_by(world.client, world.provider, made_up(world.provider.key))
        assert codes == ["wrong_holder"]
        assert await world.provider.books.run(lambda view: list(vouchers.all_vouchers(view))) == []
