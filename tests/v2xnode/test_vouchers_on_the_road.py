"""A driver far from home: a stranger may owe nothing here, and somebody whom the provider trusts pays for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ledger import cbor
from ledger.message import MessageKind, SignedMessage, sign_message
from ledger.signing import Signer
from ledger.store.ledger import Ledger
from market.terms import to_map
from market.voucher import Issuer, IssuerList, Voucher
from tests.support.node_pair import Town, node_of, prepare, town, until, wish
from v2xnode.cli.ledger import reading
from v2xnode.config import DATABASE_FILE
from v2xnode.errors import RefusedByLimit
from v2xnode.identity import load_identity
from v2xnode.settling import issuers, vouchers
from v2xnode.settling.money import posting_rule
from v2xnode.settling.names import payable, receivable

PLACES = ("car_a", "car_b")
ISSUER = Signer(bytes([7]) * 32)
COST_MICRO = 38_750
"""Of 60 Wh by the cast's tariff, its session fee included."""
LATE_S = 4_000_000_000


def voucher(built: Town, amount_micro: int, signer: Signer = ISSUER) -> SignedMessage:
    said = Voucher(
        serial=bytes([5]) * 16,
        issuer=ISSUER.public,
        holder=built.key("car_b"),
        amount_micro=amount_micro,
        until_s=LATE_S,
        provider=(built.key("car_a"),),
    )
    return sign_message(signer, MessageKind.VOUCHER, cbor.encode(to_map(said)))


def trust_the_issuer(data: Path) -> None:
    named = Issuer(ISSUER.public, ISSUER.public, "Roaming", 1_000_000, "EUR", LATE_S)
    said = IssuerList(publisher=ISSUER.public, number=1, at_s=0, issuers=(named,))
    with _opened(data) as ledger:
        ledger.transact(lambda transaction: issuers.add(transaction, issuers.sign_list(ISSUER, said)))


def hold(data: Path, message: SignedMessage) -> None:
    with _opened(data) as ledger:
        ledger.transact(lambda transaction: vouchers.add(transaction, message, 0))


def _opened(data: Path) -> Ledger:
    return Ledger.open(data / DATABASE_FILE, load_identity(data).signer, posting_rule=posting_rule)


@asynccontextmanager
async def two_cars(cap_micro: int) -> AsyncIterator[Town]:
    """cap_micro: what anybody may owe to the provider."""
    async with town() as built:
        prepare(built, "car_a", {"debt_cap_micro": cap_micro, "stranger_debt_cap_micro": cap_micro})
        prepare(built, "car_b")
        await built.plug()
        yield built


async def buy(built: Town) -> None:
    async with node_of(built, "car_a") as provider, node_of(built, "car_b") as client:
        built.nodes = {"car_a": provider, "car_b": client}
        await client.request(wish(60))
        await built.heard("car_b", "told")
        await until("silence", lambda: (built.outbox("car_a"), built.outbox("car_b")) == (0, 0))


def owed(built: Town, place: str, account: str) -> int:
    with reading(built.data(place)) as reader:
        return abs(reader.balance(account, "EUR").posted_micro)


@pytest.mark.parametrize("cap_micro", [0, 50_000_000], ids=["a stranger may owe nothing", "a stranger may owe"])
async def test_the_issuer_owes_what_the_driver_has_received(cap_micro: int) -> None:
    async with two_cars(cap_micro) as built:
        trust_the_issuer(built.data("car_a"))
        hold(built.data("car_b"), voucher(built, 1_000_000))
        await buy(built)
        assert owed(built, "car_a", receivable(ISSUER.public)) == COST_MICRO
        assert owed(built, "car_b", payable(ISSUER.public)) == COST_MICRO
        assert owed(built, "car_a", receivable(built.key("car_b"))) == 0
        assert owed(built, "car_b", payable(built.key("car_a"))) == 0
        built.check(*PLACES)


async def test_a_voucher_covers_as_much_as_it_is_worth() -> None:
    async with two_cars(50_000_000) as built:
        trust_the_issuer(built.data("car_a"))
        hold(built.data("car_b"), voucher(built, 10_000))
        await buy(built)
        assert owed(built, "car_a", receivable(ISSUER.public)) == 10_000
        assert owed(built, "car_a", receivable(built.key("car_b"))) == COST_MICRO - 10_000
        built.check(*PLACES)


async def test_an_issuer_that_the_provider_does_not_know_pays_for_nobody() -> None:
    async with two_cars(0) as built:
        hold(built.data("car_b"), voucher(built, 1_000_000))
        with pytest.raises(RefusedByLimit) as refused:
            await buy(built)
        assert refused.value.code == "credit_limit"
        assert [each.data["code"] for each in built.events("car_a", "voucher_refused")] == ["unknown_issuer"]
        built.check(*PLACES)
