"""What joins entries to a chain, and what is proof of two histories."""

from __future__ import annotations

import dataclasses

import pytest

from ledger.chain import check_answers, check_fit, check_link, check_neighbours, check_start
from ledger.entry import Entry, EntryType, SignedEntry
from ledger.errors import BrokenChain, Foreign, Fork, Gap, LedgerError, Unanswered
from tests.ledger.world import CLIENT, REQUEST, Chain


def grown(length: int) -> list[SignedEntry]:
    chain = Chain()
    for number in range(length - 1):
        chain.add(EntryType.INTERVAL, b"%d" % number)
    return chain.entries


def change(entry: Entry, **fields: object) -> Entry:
    return dataclasses.replace(entry, **fields)  # type: ignore[arg-type]


def test_a_chain_links_from_its_genesis_on() -> None:
    previous = None
    for signed in grown(4):
        check_link(previous, signed.entry)
        previous = signed.entry


def test_a_new_epoch_begins_with_a_key_that_names_the_old_head() -> None:
    head = grown(3)[-1].entry
    start = change(head, type=EntryType.KEY, epoch=bytes(8), seq=0, prev=head.hash)
    check_link(head, start)
    for wrong in ({"prev": bytes(32)}, {"type": EntryType.INTERVAL}):
        with pytest.raises(BrokenChain):
            check_link(head, change(start, **wrong))
    with pytest.raises(Gap):
        check_link(head, change(start, seq=3))


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"seq": 3}, Gap),
        ({"seq": 1}, Gap),
        ({"prev": bytes([5]) * 32}, BrokenChain),
        ({"prev": bytes(32)}, BrokenChain),
        ({"node": CLIENT.public}, Foreign),
    ],
)
def test_what_does_not_follow_is_refused(fields: dict[str, object], error: type[LedgerError]) -> None:
    entries = grown(3)
    with pytest.raises(error):
        check_link(entries[1].entry, change(entries[2].entry, **fields))


def test_a_chain_begins_with_its_genesis_only() -> None:
    genesis, second = (signed.entry for signed in grown(2))
    for entry in (second, change(genesis, seq=1, prev=genesis.hash), change(genesis, prev=bytes([1]) * 32)):
        with pytest.raises((Gap, BrokenChain)):
            check_link(None, entry)
    with pytest.raises(BrokenChain):
        check_start(change(genesis, type=EntryType.INTERVAL))


def test_two_entries_for_one_place_are_a_fork_with_both_as_proof() -> None:
    chain = Chain()
    first, second = chain.make(EntryType.INTERVAL, b"one"), chain.make(EntryType.INTERVAL, b"two")
    check_neighbours(first, same=first, before=None, after=None)
    with pytest.raises(Fork) as caught:
        check_neighbours(second, same=first, before=None, after=None)
    assert (caught.value.held, caught.value.shown) == (first, second)


def test_pieces_of_a_chain_must_fit_where_they_touch() -> None:
    one, two, three = (signed.entry for signed in grown(3))
    check_fit(two, before=one.hash, after=three.prev)
    check_fit(two, before=None, after=None)
    with pytest.raises(BrokenChain):
        check_fit(two, before=three.hash, after=None)
    with pytest.raises(BrokenChain):
        check_fit(two, before=None, after=one.hash)


def test_an_answer_is_to_something_held_of_its_trade() -> None:
    chain = Chain()
    receipt = chain.make(EntryType.RECEIPT, b"", answers=bytes([3]) * 32)
    check_answers(receipt, REQUEST)
    for answered in (None, bytes(16)):
        with pytest.raises(Unanswered):
            check_answers(receipt, answered)
    with pytest.raises(Unanswered):
        check_answers(chain.make(EntryType.RECEIPT, b""), None)
    check_answers(chain.make(EntryType.INTERVAL, b""), None)
