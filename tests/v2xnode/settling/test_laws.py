"""Laws of the money after the trades: whatever the parties do and in whatever order it arrives, their books agree in
the end; and nothing that one party says alone lowers what it owes."""

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.entry import EntryType
from ledger.errors import LedgerError
from market.terms import Draw, Means, Net, NetLine, Pay, Resolve
from tests.support.ledgers import NOW_S, PRICE, Book, Street, forged
from tests.support.vouchers import roaming
from v2xnode.settling import disputes, drawing, nets, paying
from v2xnode.settling.netting import between
from v2xnode.settling.signing import AccountingRefused
from v2xnode.settling.trades import trades

Act = Callable[[Street, Book, Book, st.DataObject], None]


def sells(world: Street, who: Book, other: Book, data: st.DataObject) -> None:
    energy_wh = data.draw(st.integers(10, 500))
    world.sells(who, other, energy_wh, client_wh=data.draw(st.none() | st.integers(5, 600)))


def pays(world: Street, who: Book, other: Book, data: st.DataObject) -> None:
    line = who.look(lambda view: between(view, other.key)).get("EUR")
    if line is not None and line.owing_micro:
        amount_micro = data.draw(st.integers(1, line.owing_micro))
        who.run(lambda tx: paying.pay(tx, other.key, amount_micro, "EUR", Means.BANK, "", NOW_S))


def nets_with(world: Street, who: Book, other: Book, data: st.DataObject) -> None:
    tries(lambda: who.run(lambda tx: nets.propose(tx, other.key, NOW_S)))


def proposes(world: Street, who: Book, other: Book, data: st.DataObject) -> None:
    for told in who.look(trades):
        if told.parked is not None and told.peer == other.key:
            energy_wh = data.draw(st.integers(told.parked.undisputed_wh, told.parked.highest_wh))
            tries(lambda trade=told.request_id, wh=energy_wh: resolved(who, trade, wh))  # type: ignore[misc]


def resolved(who: Book, trade: bytes, energy_wh: int) -> None:
    who.run(lambda tx: disputes.resolve(tx, trade, energy_wh, NOW_S))


def agrees(world: Street, who: Book, other: Book, data: st.DataObject) -> None:
    for told in who.look(trades):
        tries(lambda trade=told.request_id: who.run(lambda tx: disputes.agree(tx, trade, NOW_S)))  # type: ignore[misc]


def confirms(world: Street, who: Book, other: Book, data: st.DataObject) -> None:
    for stored in who.look(lambda view: list(view.apart(EntryType.PAY, other.key))):
        tries(lambda digest=stored.hash: who.run(lambda tx: paying.confirm(tx, digest, NOW_S)))  # type: ignore[misc]


def takes(world: Street, who: Book, other: Book, data: st.DataObject) -> None:
    world.send()
    if who.inbox:
        who.take(data.draw(st.integers(0, len(who.inbox) - 1)))


def tries(act: Callable[[], object]) -> None:
    """What the books do not allow is not done."""
    try:
        act()
    except (AccountingRefused, ValueError):
        return


ACTS: list[Act] = [sells, sells, pays, nets_with, proposes, agrees, confirms, takes, takes, takes]


def draws(world: Street, client: Book, provider: Book, voucher: bytes) -> None:
    for told in client.look(trades):
        tries(lambda trade=told.request_id: client.run(lambda tx: drawing.draw(tx, trade, voucher, NOW_S)))  # type: ignore[misc]


def balanced(book: Book) -> bool:
    sums: dict[str, int] = {}
    for (_, currency), each in book.look(lambda view: view.balances()).items():
        sums[currency] = sums.get(currency, 0) + each.posted_micro
    return set(sums.values()) <= {0}


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_both_sides_books_agree_once_everything_has_arrived(data: st.DataObject) -> None:
    world, one, other, issuer, message = roaming()
    for _ in range(data.draw(st.integers(1, 12))):
        who, peer = data.draw(st.sampled_from([(one, other), (other, one)]))
        data.draw(st.sampled_from(ACTS))(world, who, peer, data)
        if data.draw(st.integers(0, 4)) == 0:
            draws(world, other, one, message.hash)
    for _ in range(3):
        world.deliver()
        for who, peer in ((one, other), (other, one)):
            confirms(world, who, peer, data)
    world.deliver()
    assert one.owed_by(other) == -other.owed_by(one)
    assert one.owed_by(issuer) == -other.owed_by(issuer)
    assert {one.told(each.request_id).amounts_micro for each in one.look(trades)} == {
        other.told(each.request_id).amounts_micro for each in other.look(trades)
    }
    assert all(balanced(book) for book in world.books)


Lie = tuple[Any, bytes, bytes | None]


def lies(liar: Book, victim: Book, trade: bytes, seen: list[bytes]) -> st.SearchStrategy[Lie]:
    """Anything of this kind that a peer can sign: message, what it answers, and the trade."""
    amounts = st.integers(0, 200_000) | st.just(2**62)
    answers = st.sampled_from([b"", *seen])
    draw = st.builds(Draw, st.sampled_from(seen), st.just(victim.key), st.just(liar.key), st.just(trade))
    pays_ = st.builds(
        lambda amount, received, draws, means: Pay(
            victim.key, NOW_S, amount + 1 if amount < 2**62 else amount, means, received=received, draws=draws
        ),
        amounts,
        st.booleans(),
        st.just(()),
        st.sampled_from([Means.CASH, Means.BANK]),
    )
    drawn = st.builds(
        lambda amount, received, one: Pay(
            victim.key, NOW_S, min(amount, 10**9) + 1, Means.VOUCHER, received=received, draws=(one,)
        ),
        amounts,
        st.booleans(),
        draw,
    )
    lines = st.builds(lambda owed, owing: (NetLine("EUR", owed, owing),), amounts, amounts)
    nets_ = st.builds(lambda head, said: Net(victim.key, NOW_S, head, said), st.sampled_from(seen), lines)
    resolves = st.builds(lambda wh, amount: Resolve(victim.key, NOW_S, wh, (amount,)), st.integers(0, 900), amounts)
    apart = st.tuples(st.one_of(pays_, drawn, nets_), answers, st.none())
    return apart | st.tuples(resolves, st.sampled_from(seen), st.just(trade))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_no_word_of_a_peer_alone_lowers_what_it_owes(data: st.DataObject) -> None:
    """The victim has proposals of its own under way, which the liar may answer as it likes."""
    world, victim, liar, _, _ = roaming()
    world.sells(victim, liar, 400)
    world.sells(liar, victim, 100)
    trade = world.sells(victim, liar, 300, client_wh=200)
    victim.run(lambda tx: nets.propose(tx, liar.key, NOW_S))
    victim.run(lambda tx: disputes.resolve(tx, trade, 250, NOW_S))
    proposed = 250 * PRICE // 1000 - 200 * PRICE // 1000
    before = victim.owed_by(liar)
    seen = [each.hash for each in victim.look(lambda view: view.page(limit=100))]
    last = None
    for _ in range(data.draw(st.integers(1, 8))):
        message, answers, request_id = data.draw(lies(liar, victim, trade, seen))
        signed = last = forged(liar, message, answers, request_id, after=last)
        _shown(victim, signed)
        assert victim.owed_by(liar) in (before, before + proposed)
        assert balanced(victim)
    assert not victim.look(lambda view: view.apart(EntryType.PAY, view.node)), "the victim never paid"


def _shown(victim: Book, signed: Any) -> None:
    victim.inbox.append(signed)
    try:
        victim.take()
    except LedgerError:
        return
    finally:
        victim.inbox.clear()
