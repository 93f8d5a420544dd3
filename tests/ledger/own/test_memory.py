"""What a peer's claim leads to, and what is shown to a peer that lost the end of its chain."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.entry import EntryType
from ledger.own.memory import Claim, Held, misses, own_keys, shown_to
from ledger.signing import Signer
from ledger.store.reader import LedgerReader
from ledger.store.view import StoredEntry
from market.terms import Means, Pay
from tests.ledger.world import Chain
from tests.support.deals import FIXED, Deal, Side, request_id, sides
from v2xnode.envelope import body_of


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Side, Side]]:
    """Provider and client after one trade."""
    with sides(tmp_path) as (provider, client):
        _trade(provider, client, "first")
        yield provider, client


def _trade(provider: Side, client: Side, name: str) -> None:
    Deal(provider, client, replace(FIXED, request_id=request_id(name))).play()


def _head(side: Side) -> StoredEntry:
    head = side.ledger.transact(lambda tx: tx.head())
    assert head is not None
    return head


def _claim(side: Side) -> Claim:
    """What a peer that holds everything says of this side's chain."""
    entry = _head(side).entry
    return Claim(entry.epoch[:4], entry.seq)


def test_what_is_held_is_not_missed(two: tuple[Side, Side]) -> None:
    _, client = two
    newest = _claim(client)
    for seq in range(newest.seq + 1):
        assert client.ledger.transact(lambda tx, seq=seq: misses(tx, replace(newest, seq=seq))) is None  # type: ignore[misc]


def test_what_is_claimed_beyond_our_head_is_missed_from_there_on(two: tuple[Side, Side]) -> None:
    _, client = two
    newest = _claim(client)
    claimed = replace(newest, seq=newest.seq + 30)
    assert client.ledger.transact(lambda tx: misses(tx, claimed)) == replace(newest, seq=newest.seq + 1)


def test_an_epoch_that_we_forgot_is_missed_with_what_came_before_it(two: tuple[Side, Side]) -> None:
    _, client = two
    newest = _claim(client)
    assert client.ledger.transact(lambda tx: misses(tx, Claim(b"lost", 7))) == replace(newest, seq=newest.seq + 1)


def test_an_older_copy_is_shown_the_trades_that_it_lacks_and_no_other(two: tuple[Side, Side], tmp_path: Path) -> None:
    provider, client = two
    old = tmp_path / "old.db"
    shutil.copy(client.path, old)
    for extra in ("-wal", "-shm"):
        if client.path.with_name(client.path.name + extra).exists():
            shutil.copy(client.path.with_name(client.path.name + extra), old.with_name(old.name + extra))
    for name in ("second", "third"):
        _trade(provider, client, name)
    with LedgerReader.open(old) as reader:
        lost = misses(reader, _claim(client))
    assert lost is not None
    shown = provider.ledger.transact(lambda tx: list(shown_to(tx, client.key, lost, after=0)))
    wanted = [request_id("second"), request_id("third")]
    whole = provider.ledger.transact(
        lambda tx: [each for trade in wanted for each in (*tx.messages(trade), *tx.entries(trade))]
    )
    assert [each for _, each in shown] == whole


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_pages_of_any_size_are_the_whole(two: tuple[Side, Side], size: int) -> None:
    provider, client = two
    _trade(provider, client, "second")
    everything = Claim(_claim(client).epoch_begins, 0)

    def page(after: int) -> list[tuple[int, Held]]:
        return provider.ledger.transact(
            lambda tx: [
                each for each, _ in zip(shown_to(tx, client.key, everything, after=after), range(size), strict=False)
            ]
        )

    found: list[tuple[int, Held]] = []
    while more := page(found[-1][0] if found else 0):
        found += more
    assert found == provider.ledger.transact(lambda tx: list(shown_to(tx, client.key, everything, after=0)))
    assert len(found) > size or size == 100


def test_a_stranger_is_shown_nothing(two: tuple[Side, Side]) -> None:
    provider, _ = two
    assert provider.ledger.transact(lambda tx: list(shown_to(tx, bytes(32), Claim(bytes(4), 0), after=0))) == []


def test_own_keys_are_numbered_from_one(two: tuple[Side, Side]) -> None:
    provider, _ = two
    ((number, genesis),) = provider.ledger.transact(lambda tx: list(own_keys(tx, after=0)))
    assert number == 1
    assert isinstance(genesis, StoredEntry)
    assert (genesis.type, genesis.entry.seq) == (EntryType.KEY, 0)
    assert provider.ledger.transact(lambda tx: list(own_keys(tx, after=1))) == []


def test_nobody_is_shown_what_is_between_us_and_others_by_naming_it(two: tuple[Side, Side]) -> None:
    """The hash of an entry is no secret, and any entry may say that it answers it."""
    provider, client = two
    other = Chain(Signer(bytes([9]) * 32))
    kind, body = body_of(Pay(client.key, 0, 1, Means.CASH))
    ours = provider.ledger.transact(lambda tx: tx.append(kind, body))
    witness = other.add(EntryType.WITNESS, b"", ours.hash)
    provider.ledger.transact(lambda tx: [tx.receive(each) for each in (other.entries[0], witness)])
    claim = Claim(other.epoch[:4], 0)
    shown = provider.ledger.transact(lambda tx: list(shown_to(tx, other.signer.public, claim, after=0)))
    assert [each.signed for _, each in shown if isinstance(each, StoredEntry)] == [other.entries[0], witness]
