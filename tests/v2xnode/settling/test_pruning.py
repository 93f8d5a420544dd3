"""Twin of v2xnode/settling/pruning.py and ledger/audit/pruned.py: what was netted may be forgotten, no more."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from ledger.audit.verify import Report, verify
from ledger.files.receipt import Receipt
from ledger.store.reader import LedgerReader
from market.terms import Dispute, Means
from tests.support.ledgers import NOW_S, PRICE, Book, Street, street_in
from v2xnode.export.errors import ExportRefused
from v2xnode.export.receipt import check_receipt, make_receipt
from v2xnode.settling import disputes, nets, paying, pruning
from v2xnode.settling.accounts import accounts
from v2xnode.settling.money import posting_rule
from v2xnode.settling.netting import bears_out
from v2xnode.settling.signing import AccountingRefused
from v2xnode.settling.trades import trades

COST = 400 * PRICE // 1000
OF_PRUNED = " WHERE state = 'posted' AND entry_hash IN (SELECT hash FROM entry WHERE body IS NULL)"
DOUBLED = "UPDATE posting SET amount_micro = amount_micro * 2"
RENAMED = "UPDATE posting SET currency = 'SEK'"


@pytest.fixture
def world(tmp_path: Path) -> Street:
    """Two parties with ledgers on disk."""
    return street_in(tmp_path)


@pytest.fixture
def check(tmp_path: Path) -> Callable[[], Report]:
    """The first party's ledger, as a stranger checks it."""

    def look() -> Report:
        with LedgerReader.open(tmp_path / "0.db") as reader:
            return verify(reader, posting_rule, bears_out)

    return look


def tampered(world: Street, statement: str) -> None:
    connection = world.books[0].ledger._connection  # as somebody with a database tool would
    connection.execute(text(statement))
    connection.commit()


def netted(world: Street) -> bytes:
    """A trade each way, netted; the first party's Net."""
    first, second = world.books
    world.sells(first, second, 400)
    world.sells(second, first, 100)
    signed = first.run(lambda tx: nets.propose(tx, second.key, NOW_S))
    world.deliver()
    return signed.hash


def test_bodies_go_and_chain_postings_and_balances_stay(world: Street, check: Callable[[], Report]) -> None:
    first, second = world.books
    net = netted(world)
    before = check()
    owed = first.look(lambda view: accounts(view, NOW_S))
    assert len(first.run(lambda tx: pruning.prune(tx, net))) == 2
    after = check()
    assert after.ok, after.sentence
    assert (after.entries, after.postings, after.head) == (before.entries, before.postings, before.head)
    assert [each.as_json()["net_micro"] for each in first.look(lambda view: accounts(view, NOW_S))] == [
        each.as_json()["net_micro"] for each in owed
    ]
    assert first.owed_by(second) == COST * 3 // 4
    assert [each.state for each in first.look(trades)] == ["netted", "netted"]
    assert first.run(lambda tx: pruning.prune(tx, net)) == []


def test_trade_goes_on_after_it_and_later_trades_keep_their_bodies(world: Street, check: Callable[[], Report]) -> None:
    first, second = world.books
    net = netted(world)
    first.run(lambda tx: pruning.prune(tx, net))
    world.sells(first, second, 10)
    first.run(lambda tx: paying.receive(tx, second.key, 1_000, "EUR", Means.CASH, "", NOW_S))
    assert check().ok
    assert first.run(lambda tx: pruning.prune_before_newest(tx, second.key)) == []
    assert [each.state for each in first.look(trades)] == ["netted", "netted", "settled"]


def test_either_sides_hash_names_the_net(world: Street, check: Callable[[], Report]) -> None:
    first, second = world.books
    netted(world)
    answer = second.look(lambda view: view.head())
    assert answer is not None
    assert len(first.run(lambda tx: pruning.prune(tx, answer.hash))) == 2
    assert check().ok
    assert len(second.run(lambda tx: pruning.prune_before_newest(tx, first.key))) == 2


def test_before_a_net_that_one_side_has_signed_nothing_goes(world: Street) -> None:
    first, second = world.books
    world.sells(first, second, 400)
    signed = first.run(lambda tx: nets.propose(tx, second.key, NOW_S))
    for digest in (signed.hash, bytes(32)):
        with pytest.raises(AccountingRefused) as refused:
            first.run(lambda tx, digest=digest: pruning.prune(tx, digest))  # type: ignore[misc]
        assert refused.value.code == "no_net"
    with pytest.raises(AccountingRefused):
        first.run(lambda tx: pruning.prune_before_newest(tx, second.key))


def test_what_is_disputed_stays_until_it_is_resolved(world: Street, check: Callable[[], Report]) -> None:
    first, second = world.books
    trade = world.sells(first, second, 400, client_wh=300)
    first.run(lambda tx: nets.propose(tx, second.key, NOW_S))
    world.deliver()
    assert first.run(lambda tx: pruning.prune_before_newest(tx, second.key)) == []
    first.run(lambda tx: disputes.resolve(tx, trade, 350, NOW_S))
    world.deliver()
    second.run(lambda tx: disputes.agree(tx, trade, NOW_S))
    world.deliver()
    assert first.run(lambda tx: pruning.prune_before_newest(tx, second.key)) == [], "it is not wholly before that Net"
    first.run(lambda tx: nets.propose(tx, second.key, NOW_S))
    world.deliver()
    assert first.run(lambda tx: pruning.prune_before_newest(tx, second.key)) == [trade]
    assert check().ok


def test_a_receipt_given_before_still_holds_and_none_is_made_any_more(world: Street) -> None:
    first, second = world.books
    net = netted(world)
    trade = first.look(trades)[0].request_id
    given = receipt(first, trade)
    first.run(lambda tx: pruning.prune(tx, net))
    assert check_receipt(given).dossier.agreed_wh == 400
    with pytest.raises(ExportRefused, match="netted"):
        receipt(first, trade)
    assert check_receipt(receipt(second, trade)).dossier.agreed_wh == 400


def receipt(book: Book, request_id: bytes) -> Receipt:
    told = book.told(request_id)
    return book.look(lambda view: make_receipt(view, told))


def test_nothing_more_is_said_in_a_netted_trade(world: Street) -> None:
    first = world.books[0]
    net = netted(world)
    trade = first.look(trades)[0].request_id
    first.run(lambda tx: pruning.prune(tx, net))
    with pytest.raises(AccountingRefused):
        first.run(lambda tx: disputes.resolve(tx, trade, 350, NOW_S))
    assert first.look(trades)[0].of(Dispute) == []


@pytest.mark.parametrize(
    ("statement", "table", "code"),
    [
        ("UPDATE entry SET salt = NULL, body = NULL WHERE type = 12", "entry", "malformed"),
        ("UPDATE entry SET salt = NULL, body = NULL WHERE type = 1", "entry", "malformed"),
        ("UPDATE entry SET body = x'' WHERE position = 5", "entry", "bad_commitment"),
        ("UPDATE entry SET salt = zeroblob(16) WHERE position = 5", "entry", "bad_commitment"),
        ("UPDATE entry SET salt = x'', body = x'' WHERE position = 5", "entry", "bad_commitment"),
        (
            "UPDATE entry SET body = NULL, salt = NULL WHERE position = (SELECT max(position) - 1 FROM entry)",
            "entry",
            "",
        ),
        ("UPDATE entry SET signature = zeroblob(64) WHERE position = 5", "entry", "bad_signature"),
        ("UPDATE entry SET request_id = zeroblob(16) WHERE position = 5", "entry", ""),
        ("UPDATE posting SET amount_micro = amount_micro + 1 WHERE position = 1", "posting", "unbalanced"),
        (DOUBLED + OF_PRUNED, "entry", "books_differ"),
        (RENAMED + OF_PRUNED, "entry", "books_differ"),
        ("UPDATE posting SET state = 'lost' WHERE position = 1", "posting", "malformed"),
        ("UPDATE posting SET line = 7 WHERE position = 1", "posting", "column_differs"),
    ],
)
def test_what_is_changed_in_a_pruned_ledger_is_found(
    world: Street, check: Callable[[], Report], statement: str, table: str, code: str
) -> None:
    net = netted(world)
    world.books[0].run(lambda tx: pruning.prune(tx, net))
    tampered(world, statement)
    report = check()
    assert report.fault is not None, statement
    assert report.fault.table == table
    assert code in ("", report.fault.code), report.sentence


def test_bodies_that_no_net_closes_are_missed(world: Street, check: Callable[[], Report]) -> None:
    first, second = world.books
    world.sells(first, second, 400)
    tampered(world, "UPDATE entry SET salt = NULL, body = NULL WHERE request_id IS NOT NULL")
    report = check()
    assert report.fault is not None
    assert report.fault.code == "missing_body"


def test_a_trade_after_the_net_keeps_its_bodies(world: Street, check: Callable[[], Report]) -> None:
    first, second = world.books
    netted(world)
    world.sells(first, second, 10)
    tampered(world, "UPDATE entry SET salt = NULL, body = NULL WHERE request_id IS NOT NULL")
    report = check()
    assert report.fault is not None
    assert report.fault.code == "missing_body"
