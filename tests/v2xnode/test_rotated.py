"""A node whose key was rotated goes on under its old name, with a peer that knew it and with a stranger."""

import pytest

from ledger.own.key_changes import rotate
from ledger.signing import Signer
from ledger.store.ledger import Ledger
from market.terms import Resume
from tests.support.doors import door
from tests.support.node_pair import Town, node_of, prepare, town, wish
from v2xnode.cli.ledger import reading
from v2xnode.config import DATABASE_FILE
from v2xnode.envelope import Plain
from v2xnode.errors import Unreachable
from v2xnode.identity import KEY_FILE, load_identity
from v2xnode.settling.money import posting_rule
from v2xnode.settling.names import payable, receivable

PLACES = ("car_a", "car_b")
NEW_SEED = bytes(range(32))


async def trade(built: Town) -> None:
    async with node_of(built, "car_a") as provider, node_of(built, "car_b") as client:
        built.nodes = {"car_a": provider, "car_b": client}
        await client.request(wish(60))
        await built.heard("car_b", "told")


def rotate_key(built: Town, place: str) -> None:
    """As its owner does it: the old key signs the new one in, and is destroyed."""
    data = built.data(place)
    with Ledger.open(data / DATABASE_FILE, load_identity(data).signer, posting_rule=posting_rule) as ledger:
        ledger.transact(lambda transaction: rotate(transaction, Signer(NEW_SEED)))
    (data / KEY_FILE).write_text(NEW_SEED.hex() + "\n")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("known", [True, False])
async def test_a_rotated_node_trades_under_its_name(place: str, known: bool) -> None:
    async with town() as built:
        for each in PLACES:
            prepare(built, each)
        await built.plug()
        names = {each: built.key(each) for each in PLACES}
        if known:
            await trade(built)
        else:
            async with node_of(built, place):
                """Its ledger begins with its first key."""
        rotate_key(built, place)
        await trade(built)
        await trade(built)
        trades = 2 + known
        for owner, account in (("car_a", receivable(names["car_b"])), ("car_b", payable(names["car_a"]))):
            with reading(built.data(owner)) as reader:
                assert reader.node == names[owner]
                assert abs(reader.balance(account, "EUR").posted_micro) == trades * 38_750
        built.check(*PLACES)


async def test_the_old_key_opens_no_link_to_who_knows_the_new_one() -> None:
    async with town() as built:
        for each in PLACES:
            prepare(built, each)
        await built.plug()
        stolen = load_identity(built.data("car_b"))
        await trade(built)
        rotate_key(built, "car_b")
        await trade(built)
        async with node_of(built, "car_a") as provider:
            built.nodes = {"car_a": provider}
            thief = door(built.network, "thief", stolen)
            async with thief.links.serving():
                with pytest.raises(Unreachable):
                    await thief.links.dial("memory", "car_a", built.key("car_a"), lambda _: [Plain(Resume(bytes(16)))])
            await built.heard("car_a", "link_refused", "key_given_up")
