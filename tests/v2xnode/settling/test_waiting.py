"""Twin of v2xnode/settling/waiting.py."""

from market.terms import Means, Net, NetLine
from tests.support.ledgers import NOW_S, Book, forged, street
from tests.support.vouchers import roaming
from v2xnode.settling import disputes, drawing, paying
from v2xnode.settling.waiting import Waiting, waiting


def told(book: Book) -> list[Waiting]:
    return book.look(waiting)


def test_a_payment_waits_until_it_is_confirmed_and_its_hash_confirms_it() -> None:
    world = street()
    provider, client = world.books
    world.sells(provider, client, 400)
    client.run(lambda tx: paying.pay(tx, provider.key, 50_000, "EUR", Means.BANK, "E2E 7", NOW_S))
    world.deliver()
    [one] = told(provider)
    assert (one.kind, one.peer) == ("payment", client.key)
    assert one.sentence == "says that it has paid 0.050000 EUR (bank, 'E2E 7')"
    assert one.as_json()["hash"] == one.digest.hex()
    assert told(client) == []
    provider.run(lambda tx: paying.confirm(tx, one.digest, NOW_S))
    world.deliver()
    assert told(provider) == told(client) == []


def test_a_net_waits_where_the_books_differ_and_only_the_newest() -> None:
    world = street()
    provider, client = world.books
    world.sells(provider, client, 400)
    head = provider.look(lambda view: view.head())
    assert head is not None
    first = forged(client, Net(provider.key, NOW_S, head.hash, (NetLine("EUR", 0, 5),)))
    second = forged(client, Net(provider.key, NOW_S, head.hash, (NetLine("EUR", 0, 7),)), after=first)
    provider.inbox += [first, second]
    world.deliver()
    [one] = told(provider)
    assert (one.kind, one.digest) == ("net", second.hash)
    assert one.sentence == "proposes a net of 0.000007 EUR owed to us"


def test_a_proposal_in_a_dispute_waits_until_it_is_resolved() -> None:
    world = street()
    provider, client = world.books
    trade = world.sells(provider, client, 400, client_wh=250)
    provider.run(lambda tx: disputes.resolve(tx, trade, 300, NOW_S))
    world.deliver()
    [one] = told(client)
    assert (one.kind, one.peer) == ("resolution", provider.key)
    assert one.sentence == f"proposes 300 Wh for trade {trade.hex()}"
    assert told(provider) == []
    client.run(lambda tx: disputes.agree(tx, trade, NOW_S))
    assert told(client) == []


def test_a_draw_that_was_not_taken_waits_too() -> None:
    world, provider, client, _, message = roaming()
    trade = world.sells(provider, client, 400)
    provider.run(lambda tx: paying.receive(tx, client.key, 120_000, "EUR", Means.CASH, "", NOW_S))
    client.run(lambda tx: drawing.draw(tx, trade, message.hash, NOW_S))
    world.deliver()
    assert [(each.kind, each.peer) for each in told(provider)] == [("draw", client.key)]
    assert [each.kind for each in told(client)] == ["payment"], "two ways at once: the owners have to talk"
