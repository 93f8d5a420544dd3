"""Twin of v2xnode/settling/nets.py, netting.py and answers.py."""

import pytest

from ledger.errors import AnsweredAlready, Malformed
from market.terms import Interval, Net, NetLine, Receipt
from tests.support.ledgers import NOW_S, PRICE, Book, Deal, Street, forged, street
from v2xnode.envelope import message_of
from v2xnode.settling import accounting, nets
from v2xnode.settling.names import payable, receivable
from v2xnode.settling.signing import AccountingRefused


def cost(energy_wh: int) -> int:
    return energy_wh * PRICE // 1000


def neighbours() -> tuple[Street, Book, Book]:
    """Each has sold to the other: 400 Wh one way, 150 the other."""
    world = street()
    first, second = world.books
    world.sells(first, second, 400)
    world.sells(second, first, 150)
    return world, first, second


def posted(book: Book, peer: Book) -> tuple[int, int]:
    return book.balance(receivable(peer.key)).posted_micro, book.balance(payable(peer.key)).posted_micro


def net(book: Book, peer: Book) -> Net:
    said = message_of(book.run(lambda tx: nets.propose(tx, peer.key, NOW_S)))
    assert isinstance(said, Net)
    return said


def test_a_net_names_both_directions_and_cancels_them_once_both_have_signed() -> None:
    world, first, second = neighbours()
    said = net(first, second)
    assert said.lines == (NetLine("EUR", cost(400), cost(150)),)
    assert said.lines[0].remaining_micro == cost(250)
    assert posted(first, second) == (cost(400), -cost(150)), "a proposal moves nothing"
    world.send()
    second.take()
    assert posted(second, first) == (0, -cost(250))
    assert posted(first, second) == (cost(400), -cost(150)), "the peer's signature is not held yet"
    world.deliver()
    assert posted(first, second) == (cost(250), 0)
    for book, peer in ((first, second), (second, first)):
        assert book.look(lambda view, peer=peer: nets.signed_by_both(view, peer.key)) is not None  # type: ignore[misc]


def test_a_net_that_our_books_do_not_bear_out_is_not_signed_and_says_the_difference() -> None:
    world, first, second = neighbours()
    lie = forged(first, Net(second.key, NOW_S, _head(second), (NetLine("EUR", cost(500), cost(150)),)))
    second.inbox.append(lie)
    world.deliver()
    assert posted(second, first) == (cost(150), -cost(400))
    with pytest.raises(AccountingRefused) as refused:
        second.run(lambda tx: nets.agree(tx, lie.hash, NOW_S))
    assert refused.value.code == "books_differ"
    assert "owed by us: 0.120000 EUR by our books, 0.150000 EUR by the peer's" in refused.value.sentence


def _head(book: Book) -> bytes:
    head = book.look(lambda view: view.head())
    assert head is not None
    return head.hash


def test_nothing_is_netted_while_something_is_pending() -> None:
    _, first, second = neighbours()
    deal = Deal(first, second, bytes(15) + b"\xff")
    last = deal.agree()
    last = deal.writes(first, Interval(second.key, 0, 1, 0), last)
    last = deal.writes(second, Receipt(first.key, 0, 0), last)
    last = deal.writes(first, Interval(second.key, 1, 2, 10), last)
    deal.writes(second, Receipt(first.key, 1, 10, 10, (cost(10),)), last)
    with pytest.raises(AccountingRefused) as refused:
        net(second, first)
    assert refused.value.code == "pending"


def test_where_nothing_is_owed_nothing_is_netted() -> None:
    world = street()
    first, second = world.books
    with pytest.raises(AccountingRefused) as refused:
        net(first, second)
    assert refused.value.code == "nothing_owed"


def test_the_same_is_not_proposed_twice() -> None:
    _, first, second = neighbours()
    net(first, second)
    with pytest.raises(AccountingRefused) as refused:
        net(first, second)
    assert refused.value.code == "proposed_already"


def test_of_two_proposals_that_cross_one_stands() -> None:
    world, first, second = neighbours()
    net(first, second)
    net(second, first)
    world.deliver()
    assert posted(first, second) == (cost(250), 0)
    assert posted(second, first) == (0, -cost(250))


def test_a_second_answer_to_one_net_is_refused() -> None:
    world, first, second = neighbours()
    net(first, second)
    proposal = _head(first)
    world.deliver()
    again = forged(second, Net(first.key, NOW_S, proposal, (NetLine("EUR", cost(150), cost(400)),)), proposal)
    with pytest.raises(AnsweredAlready):
        first.run(lambda tx: accounting.receive(tx, again, NOW_S))
    assert posted(first, second) == (cost(250), 0)


def test_an_answer_over_other_balances_is_refused_as_malformed() -> None:
    _, first, second = neighbours()
    net(first, second)
    proposal = _head(first)
    lie = forged(second, Net(first.key, NOW_S, proposal, (NetLine("EUR", cost(150), cost(399)),)), proposal)
    with pytest.raises(Malformed, match="differ"):
        first.run(lambda tx: accounting.receive(tx, lie, NOW_S))
    assert posted(first, second) == (cost(400), -cost(150))


def test_a_third_party_answers_no_net_of_ours_with_somebody_else() -> None:
    """It learns the hash as `prev` of what we say to it next, and could guess the balances."""
    world = street(3)
    first, second, third = world.books
    world.sells(first, second, 400)
    world.sells(second, first, 150)
    world.sells(first, third, 100)
    proposal = first.run(lambda tx: nets.propose(tx, second.key, NOW_S))
    before = posted(first, second)
    said = Net(first.key, NOW_S, proposal.hash, (NetLine("EUR", cost(150), cost(400)),))
    with pytest.raises(Malformed):
        first.run(lambda tx: accounting.receive(tx, forged(third, said, proposal.hash), NOW_S))
    assert posted(first, second) == before
