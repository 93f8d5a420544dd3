"""Which key signs where, and who can take that away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.errors import BadSignature, BrokenChain, Foreign, Gap, LedgerError, Revoked, TooLarge
from ledger.keys.bodies import Genesis, Place, commitment_to
from ledger.keys.key_history import MAX_KEYS, KeyHistory, fold_keys
from tests.ledger.key_world import (
    COMMITMENT,
    FIRST,
    NODE,
    OFFLINE,
    OTHER,
    SECOND,
    THIRD,
    KeyChain,
    closed_by,
    signed_key,
)

E1, E2, E3 = (bytes([number]) * 8 for number in (1, 2, 3))


def test_a_node_that_showed_no_key_entry_signs_with_its_name() -> None:
    history = KeyHistory(NODE)
    assert not history.known
    assert history.key_at(E2, 17) == NODE


def test_a_rotation_counts_from_the_next_entry_on() -> None:
    chain = KeyChain()
    chain.grow(3)
    chain.rotate(SECOND)
    history = chain.history
    assert history.current == SECOND.public
    assert [history.key_at(E1, seq) for seq in (0, 4, 5, 99)] == [NODE, NODE, SECOND.public, SECOND.public]


def test_an_epoch_that_was_not_started_is_a_gap() -> None:
    with pytest.raises(Gap):
        KeyChain().history.key_at(E2, 0)


def test_an_epoch_begins_under_the_key_of_its_start() -> None:
    chain = KeyChain()
    chain.grow()
    chain.restart(2)
    chain.rotate(SECOND)
    history = chain.history
    assert history.live == E2
    assert [history.key_at(*place) for place in ((E2, 1), (E2, 2), (E1, 40))] == [NODE, SECOND.public, NODE]
    ended = history.ended(E1)
    assert ended is not None
    assert (ended.size, history.ended(E2)) == (2, None)


def test_an_epoch_beside_the_line_does_not_become_the_live_one() -> None:
    """A backup that was restored twice: both starts close the same epoch, and the first one came back later."""
    first, second = KeyChain(), KeyChain()
    lost = first.restart(2)
    second.restart(3)
    history = fold_keys(NODE, [*second.keys, lost])
    assert history.live == E3
    assert history.key_at(E2, 5) == NODE
    assert history.ended(E2) is None


@pytest.mark.parametrize("place", ["again", "elsewhere"])
def test_a_key_that_was_rotated_away_says_nothing_more_about_keys(place: str) -> None:
    chain = KeyChain()
    chain.grow(2)
    rotated = KeyChain()
    rotated.grow(2)
    rotated.rotate(SECOND)
    stale = signed_key(FIRST, chain.place(), chain.rotation(THIRD)) if place == "again" else chain.restart(2)
    with pytest.raises(LedgerError):
        fold_keys(NODE, [*rotated.keys, stale])


def test_the_offline_key_takes_over_and_names_who_signs_now() -> None:
    chain = KeyChain()
    chain.grow(3)
    chain.succeed(SECOND, 2)
    history = chain.history
    assert (history.current, history.live) == (SECOND.public, E2)
    assert [history.key_at(E2, seq) for seq in (0, 1)] == [OFFLINE.public, SECOND.public]
    assert [history.counts(E1, seq) for seq in (0, 3, 4)] == [True, True, False]
    assert history.counts(E2, 9)


def test_a_node_can_be_given_up() -> None:
    chain = KeyChain()
    chain.succeed(None, 2)
    history = chain.history
    assert history.current == b""
    late = chain.restart(3)
    with pytest.raises(Revoked):
        history.signer_of(late)


def test_nothing_new_by_a_revoked_key_is_taken() -> None:
    thief, owner = KeyChain(), KeyChain()
    thief.grow(5)
    owner.succeed(SECOND, 2)
    for forged in (thief.entries[-1], thief.rotate(THIRD)):
        with pytest.raises(Revoked):
            owner.history.signer_of(forged)
    epoch = thief.restart(3)
    with pytest.raises(BadSignature):
        epoch.check(owner.history.signer_of(epoch))


def test_an_epoch_of_a_thief_does_not_count_after_the_revocation() -> None:
    """The bound is walked back from the revocation: what the thief closed, and where, is beside that line."""
    owner, thief = KeyChain(), KeyChain()
    owner.grow(2)
    thief.grow(7)
    stolen = thief.restart(9)
    succession = signed_key(OFFLINE, owner.start(2), owner.succession(SECOND, 2))
    history = fold_keys(NODE, [*owner.keys, stolen, succession])
    assert not history.counts(bytes([9]) * 8, 0)
    assert [history.counts(E1, seq) for seq in (2, 3)] == [True, False]


def test_a_second_revocation_keeps_what_the_first_one_bounded() -> None:
    chain = KeyChain()
    chain.grow(2)
    chain.succeed(SECOND, 2)
    chain.grow(4)
    chain.succeed(THIRD, 3)
    history = chain.history
    assert [history.counts(*place) for place in ((E1, 2), (E1, 3), (E2, 4), (E2, 5))] == [True, False, True, False]
    assert history.revoked == {NODE, SECOND.public}


def test_a_wrong_offline_key_revokes_nothing() -> None:
    chain = KeyChain()
    body = replace(chain.succession(SECOND, 2), offline=OTHER.public)
    with pytest.raises(BrokenChain):
        fold_keys(NODE, [*chain.keys, signed_key(OTHER, chain.start(2), body)])


def test_without_a_commitment_nobody_can_revoke() -> None:
    chain = KeyChain(commitment=b"")
    with pytest.raises(BrokenChain):
        fold_keys(NODE, [*chain.keys, signed_key(OFFLINE, chain.start(2), chain.succession(SECOND, 2))])


def test_the_signing_key_can_add_a_revocation_key_but_not_change_it() -> None:
    chain = KeyChain(commitment=b"")
    chain.commitment = COMMITMENT
    chain.rotate(SECOND)
    assert chain.history.commitment == COMMITMENT
    chain.commitment = commitment_to(OTHER.public)
    chain.rotate(THIRD)
    with pytest.raises(BrokenChain):
        _ = chain.history


def test_a_rotation_without_the_new_keys_word_is_refused() -> None:
    chain = KeyChain()
    chain.add(FIRST, chain.rotation(SECOND, consent=bytes(64)))
    with pytest.raises(BadSignature):
        _ = chain.history


def test_a_key_never_comes_back() -> None:
    chain = KeyChain()
    chain.rotate(SECOND)
    chain.rotate(FIRST)
    with pytest.raises(BrokenChain):
        _ = chain.history


def test_what_the_signing_key_did_not_sign_is_refused() -> None:
    chain = KeyChain()
    chain.add(OTHER, chain.rotation(SECOND))
    with pytest.raises(BadSignature):
        _ = chain.history


def test_a_second_genesis_has_to_say_the_same() -> None:
    """A node that lost its ledger and kept its key begins anew; a thief can't get rid of the revocation key so."""
    history = KeyChain().history
    again = KeyChain(epoch=2).entries[0]
    assert history.with_entry(again).key_at(E2, 3) == NODE
    for commitment in (b"", commitment_to(OTHER.public)):
        with pytest.raises(BrokenChain):
            history.with_entry(KeyChain(commitment, epoch=2).entries[0])


def test_the_history_begins_with_a_genesis_of_the_node() -> None:
    chain = KeyChain()
    with pytest.raises(Gap):
        fold_keys(NODE, [chain.restart(2)])
    with pytest.raises(Foreign):
        KeyHistory(OTHER.public).with_entry(chain.entries[0])
    foreign = signed_key(FIRST, Place(NODE, E1, 0, bytes(32)), Genesis(OTHER.public, b""))
    with pytest.raises(BrokenChain):
        fold_keys(NODE, [foreign])


def test_an_epoch_starts_once() -> None:
    chain = KeyChain()
    chain.restart(2)
    with pytest.raises(BrokenChain):
        chain.history.with_entry(chain.keys[-1])


def test_closings_in_a_circle_end() -> None:
    """Whoever holds the key can sign starts that close each other; nothing walks them for ever."""
    chain = KeyChain()
    a = signed_key(FIRST, chain.start(2), replace(chain.epoch_start(), closed=replace(chain.closed(), epoch=E3)))
    b = signed_key(FIRST, chain.start(3), replace(chain.epoch_start(), closed=replace(chain.closed(), epoch=E2)))
    body = replace(chain.succession(SECOND, 4), closed=closed_by([a]))
    succession = signed_key(OFFLINE, chain.start(4), body)
    history = fold_keys(NODE, [*chain.keys, a, b, succession])
    assert [history.counts(*place) for place in ((E2, 0), (E2, 1), (E3, 0), (E3, 1), (E1, 0))] == [
        True,
        False,
        True,
        False,
        False,
    ]


def test_a_peer_cannot_fill_us_with_key_entries() -> None:
    chain = KeyChain()
    history = chain.history
    for number in range(2, MAX_KEYS + 1):
        place = Place(NODE, number.to_bytes(8, "big"), 0, bytes([1]) * 32)
        history = history.with_entry(signed_key(FIRST, place, chain.epoch_start()))
    with pytest.raises(TooLarge):
        history.with_entry(chain.restart(2))
