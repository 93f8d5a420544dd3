"""Two nodes that witness each other's chains: what they say until both have what they need, and what a cheat gets."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest

from ledger.entry import EntryType
from ledger.errors import BadProof, BadSignature, Foreign, Forked
from ledger.own.key_changes import open_epoch
from ledger.proofs.checkpoint import Checkpoint, sign_checkpoint
from ledger.proofs.note import Note
from ledger.proofs.proving import HeldCheckpoint, append_checkpoint, cosignatures, cosigned_size, newest_checkpoint
from ledger.signing import Signer
from ledger.store.ledger import Ledger
from ledger.store.transaction import Transaction
from ledger.witnessing.forks import is_forked
from market.terms import CheckpointShown, Cosignature, Remembered
from tests.ledger.world import CLIENT, PROVIDER, counted_entropy, rule
from v2xnode.trading import witnessing
from v2xnode.trading.witnessing import Alarm, Said, hear, to_show

NOW_S = 1_800_000_000
MAX_TURNS = 20
"""More than any talk takes: one that goes round in circles is a fault."""

T = TypeVar("T")


@dataclass(slots=True)
class Party:
    """A node's key, and its ledger."""

    signer: Signer
    ledger: Ledger

    @property
    def node(self) -> bytes:
        return self.signer.public

    def do(self, step: Callable[[Transaction], T]) -> T:
        return self.ledger.transact(step)

    def grow(self, count: int = 1) -> None:
        self.do(lambda tx: [tx.append(EntryType.NET, b"%d" % number) for number in range(count)])

    def newest(self) -> HeldCheckpoint | None:
        return self.do(lambda tx: newest_checkpoint(tx, tx.keys_of(self.node).live))

    def cosigned_by(self, peer: Party) -> int:
        """How large our tree was that this peer cosigned."""
        return self.do(lambda tx: cosigned_size(tx, tx.keys_of(self.node).live, peer.node))


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Party, Party]]:
    with opened(tmp_path / "one", CLIENT) as one, opened(tmp_path / "other", PROVIDER) as other:
        parties = Party(CLIENT, one), Party(PROVIDER, other)
        for each in parties:
            each.grow(3)
        yield parties


def opened(path: Path, signer: Signer) -> Ledger:
    return Ledger.open(path, signer, posting_rule=rule, entropy=counted_entropy())


def talk(one: Party, other: Party, said: list[Said] | None = None) -> list[str]:
    """From what `one` shows, until nobody has anything to say. What was said, in order."""
    if said is None:
        shown = one.do(lambda tx: to_show(tx, other.node))
        said = [] if shown is None else [shown]
    told: list[str] = []
    speaker, hearer = one, other
    while said:
        told += [type(each).__name__ for each in said]
        assert len(told) < MAX_TURNS, told
        heard_ = [answer for each in said for answer in heard(hearer, speaker, each)]
        answers = [answer for answer in heard_ if not isinstance(answer, Alarm)]
        assert len(answers) == len(heard_)
        speaker, hearer, said = hearer, speaker, answers
    return told


def heard(hearer: Party, speaker: Party, said: Said) -> list[Said | Alarm]:
    return hearer.do(lambda tx: list(hear(tx, speaker.node, said, NOW_S)))


def test_both_cosign_and_then_have_nothing_to_say(pair: tuple[Party, Party]) -> None:
    one, other = pair
    assert talk(one, other) == ["CheckpointShown", "Cosignature", "CheckpointShown", "Shown", "Cosignature", "Shown"]
    for mine, theirs in ((one, other), (other, one)):
        head = mine.do(lambda tx: tx.head())
        assert head is not None
        assert theirs.do(lambda tx, head=head: tx.newest_of(head.entry.node)) == (head.entry.epoch, head.entry.seq)  # type: ignore[misc]
    for mine, theirs in ((one, other), (other, one)):
        held = mine.newest()
        assert held is not None
        assert mine.cosigned_by(theirs) == held.checkpoint.size
        [kept] = mine.do(lambda tx, held=held: cosignatures(tx, held))  # type: ignore[misc]
        assert kept.witness == theirs.node
        assert mine.do(lambda tx, theirs=theirs: to_show(tx, theirs.node)) is None  # type: ignore[misc]
    assert talk(one, other) == talk(other, one) == []


def test_what_grew_is_shown_from_where_it_was_cosigned(pair: tuple[Party, Party]) -> None:
    one, other = pair
    talk(one, other)
    before = one.cosigned_by(other)
    one.grow(5)
    shown = one.do(lambda tx: to_show(tx, other.node))
    assert isinstance(shown, CheckpointShown)
    assert shown.from_size == before
    assert shown.proof
    talk(one, other, [shown])
    assert one.cosigned_by(other) > before


def test_a_cosignature_that_was_lost_is_asked_for_again(pair: tuple[Party, Party]) -> None:
    """The witness remembers what we don't know that it cosigned: it says what, and gets the proof from there."""
    one, other = pair
    lost = one.do(lambda tx: to_show(tx, other.node))
    assert lost is not None
    heard(other, one, lost)
    one.grow(4)
    assert "Remembered" in talk(one, other)
    held = one.newest()
    assert held is not None
    assert one.cosigned_by(other) == held.checkpoint.size


def test_a_fork_is_kept_and_nothing_more_of_it_cosigned(pair: tuple[Party, Party]) -> None:
    one, other = pair
    talk(one, other)
    held = one.newest()
    assert held is not None
    two_faced = sign_checkpoint(CLIENT, replace(held.checkpoint, root=bytes(32)))
    answer = heard(other, one, CheckpointShown(bytes(two_faced)))
    assert answer[0] == Remembered(bytes(held.note))
    assert other.do(lambda tx: is_forked(tx, one.node))
    one.grow()
    shown = one.do(lambda tx: to_show(tx, other.node))
    assert shown is not None
    with pytest.raises(Forked):
        heard(other, one, shown)


def test_another_history_is_not_cosigned(pair: tuple[Party, Party]) -> None:
    one, other = pair
    talk(one, other)
    held = one.newest()
    assert held is not None
    size = held.checkpoint.size
    rewritten = sign_checkpoint(CLIENT, replace(held.checkpoint, size=size + 1, root=bytes(32)))
    with pytest.raises(BadProof):
        heard(other, one, CheckpointShown(bytes(rewritten), size, (bytes(32),)))
    assert not other.do(lambda tx: is_forked(tx, one.node))


def test_an_older_copy_learns_from_the_witness_and_begins_an_epoch(pair: tuple[Party, Party], tmp_path: Path) -> None:
    one, other = pair
    one.ledger.close()
    shutil.copy(tmp_path / "one", tmp_path / "backup")
    with opened(tmp_path / "one", CLIENT) as ledger:
        now = Party(CLIENT, ledger)
        now.grow(6)
        talk(now, other)
    shutil.copy(tmp_path / "backup", tmp_path / "one")
    with opened(tmp_path / "one", CLIENT) as ledger:
        restored = Party(CLIENT, ledger)
        before = restored.do(lambda tx: tx.keys_of(CLIENT.public).live)
        assert talk(restored, other)[:2] == ["CheckpointShown", "Remembered"]
        assert restored.do(lambda tx: tx.keys_of(CLIENT.public).live) != before
        assert not other.do(lambda tx: is_forked(tx, CLIENT.public))


def test_a_second_history_under_our_own_key_is_told_and_ends_the_epoch(pair: tuple[Party, Party]) -> None:
    one, other = pair
    talk(one, other)
    newest = one.newest()
    assert newest is not None
    elsewhere = sign_checkpoint(CLIENT, replace(newest.checkpoint, root=bytes(32)))
    (alarm,) = heard(one, other, Remembered(bytes(elsewhere)))
    assert alarm == Alarm(newest.epoch, newest.checkpoint.size)
    assert one.do(lambda tx: tx.keys_of(tx.node).live) != newest.epoch


def test_an_epoch_that_ended_is_not_gone_on_with(pair: tuple[Party, Party]) -> None:
    one, other = pair
    talk(one, other)
    old = one.newest()
    assert old is not None
    one.do(open_epoch)
    assert heard(one, other, Remembered(bytes(old.note))) == []


def wrong(one: Party, other: Party) -> dict[str, tuple[type[Exception], Said]]:
    mine = one.do(append_checkpoint)
    theirs = other.do(append_checkpoint)
    in_my_name = replace(mine.checkpoint, root=bytes(32))
    stranger = sign_checkpoint(Signer(bytes([3]) * 32), theirs.checkpoint)
    return {
        "somebody_else_s_checkpoint": (Foreign, CheckpointShown(bytes(mine.note))),
        "signed_by_nobody_known": (BadSignature, CheckpointShown(bytes(Note(theirs.note.text, stranger.signatures)))),
        "remembers_another_chain": (Foreign, Remembered(bytes(theirs.note))),
        "remembers_what_we_never_signed": (BadSignature, Remembered(bytes(forged(in_my_name)))),
    }


def forged(checkpoint: Checkpoint) -> Note:
    """Under our name, by the peer's key."""
    return Note(checkpoint.text, sign_checkpoint(PROVIDER, checkpoint).signatures)


@pytest.mark.parametrize(
    "name",
    [
        "somebody_else_s_checkpoint",
        "signed_by_nobody_known",
        "remembers_another_chain",
        "remembers_what_we_never_signed",
    ],
)
def test_what_is_not_the_peer_s_to_say_is_refused(pair: tuple[Party, Party], name: str) -> None:
    one, other = pair
    error, said = wrong(one, other)[name]
    with pytest.raises(error):
        heard(one, other, said)


def test_a_line_that_is_no_cosignature_of_the_peer_is_not_kept(pair: tuple[Party, Party]) -> None:
    one, other = pair
    shown = one.do(lambda tx: to_show(tx, other.node))
    assert shown is not None
    [line, *_] = heard(other, one, shown)
    assert isinstance(line, Cosignature)
    one.grow()
    one.do(append_checkpoint)
    with pytest.raises(BadSignature):
        heard(one, other, line)
    assert one.cosigned_by(other) == 0


def test_so_many_of_a_peers_cosignatures_are_kept_and_no_more(
    pair: tuple[Party, Party], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witnessing, "MAX_NEWEST", 2)
    one, other = pair
    for _ in range(4):
        one.grow()
        talk(one, other)
    assert one.cosigned_by(other) > 0, "it is cosigned all the same"
    assert other.do(lambda tx: tx.number_apart(EntryType.WITNESS, one.node)) == 2
