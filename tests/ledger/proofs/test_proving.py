"""What our own chain shows: checkpoints of what it is, and proofs that hold under them."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ledger.audit.verify import verify
from ledger.entry import EntryType
from ledger.errors import BadSignature, Corrupt, Malformed, Misuse, UnknownOrigin
from ledger.keys.key_history import KeyHistory
from ledger.own.adoption import adopt
from ledger.own.key_changes import open_epoch, rotate
from ledger.proofs.checkpoint import cosign, open_checkpoint, origin_of
from ledger.proofs.merkle import Tree, leaf_hash, verify_consistency, verify_inclusion
from ledger.proofs.proving import (
    MAX_TILES,
    TILES_DOCUMENT,
    Cosignature,
    HeldCheckpoint,
    append_checkpoint,
    append_witness,
    consistency_proof,
    cosignatures,
    cosigned_size,
    covering_checkpoint,
    inclusion_proof,
    newest_checkpoint,
    root_at,
)
from ledger.proofs.tiles import TILE_LEAVES
from ledger.signing import Signer
from ledger.store.ledger import Ledger
from ledger.store.reader import LedgerReader
from ledger.store.transaction import MAX_DOCUMENT_BYTES, Transaction
from tests.ledger.key_world import FIRST, NODE, SECOND, THIRD, KeyChain
from tests.ledger.world import CLIENT, EPOCH, PROVIDER, open_ledger, rule, trade

AT_S = 1_800_000_000
OTHER = PROVIDER


def own_tree(transaction: Transaction) -> Tree:
    """Over our own entries, the long way."""
    return Tree(leaf_hash(each.entry.payload) for each in transaction.page(limit=10_000) if each.own)


def note_of(ledger: Ledger) -> HeldCheckpoint:
    return ledger.transact(append_checkpoint)


def news(ledger: Ledger, count: int = 1) -> None:
    ledger.transact(lambda tx: [tx.append(EntryType.NET, b"%d" % number) for number in range(count)])


def cosigned(held: HeldCheckpoint, at_s: int = AT_S) -> Cosignature:
    return Cosignature(OTHER.public, cosign(OTHER, OTHER.public, held.checkpoint, at_s))


@pytest.fixture
def traded(path: Path) -> Iterator[Ledger]:
    with open_ledger(path) as ledger:
        trade(ledger)
        yield ledger


def test_a_checkpoint_says_what_the_chain_is(traded: Ledger) -> None:
    tree, head = traded.transact(lambda tx: (own_tree(tx), tx.head()))
    held = note_of(traded)
    assert head is not None
    assert open_checkpoint(held.note, CLIENT.public) == held.checkpoint
    assert held.checkpoint.origin == origin_of(CLIENT.public, head.entry.epoch)
    assert (held.checkpoint.size, held.checkpoint.root) == (tree.size, tree.root())
    assert held.stored.entry.seq == tree.size
    assert traded.transact(lambda tx: newest_checkpoint(tx, head.entry.epoch)) == held


def test_nothing_new_needs_no_other_checkpoint(traded: Ledger) -> None:
    held = note_of(traded)
    assert note_of(traded) == held
    traded.transact(lambda tx: append_witness(tx, held.stored.hash, cosigned(held)))
    assert note_of(traded) == held
    news(traded)
    assert note_of(traded).checkpoint.size == held.checkpoint.size + 3


def test_each_entry_is_shown_under_the_checkpoint(traded: Ledger) -> None:
    held = note_of(traded)
    checkpoint = held.checkpoint
    own = traded.transact(lambda tx: [each.entry for each in tx.page() if each.own and each.hash != held.stored.hash])
    assert len(own) == checkpoint.size
    for entry in own:
        proof = traded.transact(lambda tx, entry=entry: inclusion_proof(tx, entry, held))  # type: ignore[misc]
        verify_inclusion(leaf_hash(entry.payload), entry.seq, checkpoint.size, checkpoint.root, proof)
        assert traded.transact(lambda tx, entry=entry: covering_checkpoint(tx, entry)) == held  # type: ignore[misc]


def test_what_the_checkpoint_does_not_cover_is_not_shown(traded: Ledger) -> None:
    held = note_of(traded)
    theirs = traded.transact(lambda tx: next(each.entry for each in tx.page() if not each.own))
    for entry in (held.stored.entry, theirs):
        assert traded.transact(lambda tx, entry=entry: covering_checkpoint(tx, entry)) is None  # type: ignore[misc]
        with pytest.raises(Misuse):
            traded.transact(lambda tx, entry=entry: inclusion_proof(tx, entry, held))  # type: ignore[misc]
    with pytest.raises(Misuse):
        traded.transact(lambda tx: consistency_proof(tx, held, held.checkpoint.size + 1))


def test_each_checkpoint_grew_out_of_the_ones_before(ledger: Ledger) -> None:
    held = [note_of(ledger)]
    for count in (1, 2, 5):
        news(ledger, count)
        held.append(note_of(ledger))
    newest = held[-1]
    for old in (each.checkpoint for each in held):
        proof = ledger.transact(lambda tx, old=old: consistency_proof(tx, newest, old.size))  # type: ignore[misc]
        verify_consistency(old.size, old.root, newest.checkpoint.size, newest.checkpoint.root, proof)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chain of more than two tiles, with a checkpoint."""
    path = tmp_path_factory.mktemp("long") / "ledger.store.sqlite"
    with open_ledger(path) as ledger:
        news(ledger, 2 * TILE_LEAVES)
        note_of(ledger)
    return path


@pytest.fixture
def copied(long: Path, path: Path) -> Path:
    path.write_bytes(long.read_bytes())
    return path


@pytest.mark.parametrize("kept", ["kept", "lost", "wrong", "of_another_epoch", "short"])
def test_the_tiles_are_a_cache(copied: Path, kept: str) -> None:
    with open_ledger(copied) as ledger:
        tiles = ledger.transact(lambda tx: tx.get(TILES_DOCUMENT)) or b""
        changed = {
            "kept": tiles,
            "wrong": tiles[:-1] + b"x",
            "of_another_epoch": bytes(8) + tiles[8:],
            "short": tiles[: 8 + 32],
        }
        if kept == "lost":
            ledger.transact(lambda tx: tx.drop(TILES_DOCUMENT))
        else:
            ledger.transact(lambda tx: tx.put(TILES_DOCUMENT, changed[kept]))
        news(ledger)
        tree = ledger.transact(own_tree)
        held = note_of(ledger)
        assert held.checkpoint.root == tree.root()
        entry = ledger.transact(lambda tx: tx.entry_at(CLIENT.public, held.epoch, 5))
        assert entry is not None
        assert ledger.transact(lambda tx: inclusion_proof(tx, entry.entry, held)) == tree.inclusion_proof(5)
        assert ledger.transact(lambda tx: tx.get(TILES_DOCUMENT)) == tiles


def test_the_tiles_fit_their_document() -> None:
    assert len(EPOCH) + MAX_TILES * 32 <= MAX_DOCUMENT_BYTES < len(EPOCH) + (MAX_TILES + 4) * 32


def test_nothing_is_signed_that_contradicts_what_was(traded: Ledger, path: Path) -> None:
    held = note_of(traded)
    news(traded)
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute("UPDATE entry SET payload = (SELECT payload FROM entry WHERE position = 3) WHERE position = 1")
    for work in (append_checkpoint, lambda tx: consistency_proof(tx, held, 1)):
        with pytest.raises(Corrupt):
            traded.transact(work)


def test_a_cosignature_is_kept_beside_its_checkpoint(traded: Ledger) -> None:
    held = note_of(traded)
    kept = traded.transact(lambda tx: append_witness(tx, held.stored.hash, cosigned(held)))
    assert (kept.entry.type, kept.entry.answers) == (EntryType.WITNESS, held.stored.hash)
    again = traded.transact(lambda tx: append_witness(tx, held.stored.hash, cosigned(held, AT_S + 1)))
    assert again == kept
    [found] = traded.transact(lambda tx: cosignatures(tx, held))
    assert (found.witness, found.check(held.checkpoint, KeyHistory(OTHER.public))) == (OTHER.public, AT_S)
    news(traded)
    assert traded.transact(lambda tx: cosignatures(tx, append_checkpoint(tx))) == []


def test_a_cosigned_checkpoint_says_more_than_a_newer_one(traded: Ledger) -> None:
    first = note_of(traded)
    entry = traded.transact(lambda tx: tx.entry_at(CLIENT.public, first.epoch, 0))
    assert entry is not None

    def covering() -> HeldCheckpoint | None:
        return traded.transact(lambda tx: covering_checkpoint(tx, entry.entry))

    news(traded)
    second = note_of(traded)
    assert covering() == second
    traded.transact(lambda tx: append_witness(tx, first.stored.hash, cosigned(first)))
    assert covering() == first
    traded.transact(lambda tx: append_witness(tx, second.stored.hash, cosigned(second)))
    assert covering() == second


def test_what_was_lost_and_shown_again_is_under_no_proof(path: Path, tmp_path: Path) -> None:
    """An older copy adopts a checkpoint of ours that it can't lead to any more."""
    with open_ledger(path) as ledger:
        news(ledger, 3)
        kept = note_of(ledger)
    backup = tmp_path / "backup"
    shutil.copy(path, backup)
    with open_ledger(path) as ledger:
        news(ledger, 4)
        lost = note_of(ledger)
    with Ledger.open(backup, CLIENT, posting_rule=rule) as restored:
        adopted = restored.transact(lambda tx: adopt(tx, [lost.stored.signed]))
        assert [each.hash for each in adopted.ours] == [lost.stored.hash]
        assert restored.transact(lambda tx: newest_checkpoint(tx, kept.epoch)) == kept
        entry = restored.transact(lambda tx: tx.entry_at(CLIENT.public, kept.epoch, 1))
        assert entry is not None
        assert restored.transact(lambda tx: covering_checkpoint(tx, entry.entry)) == kept
    with LedgerReader.open(backup) as reader:
        assert verify(reader, rule).ok


def test_what_a_witness_cosigned_last_is_known(traded: Ledger) -> None:
    def cosigned_by(witness: bytes, epoch: bytes) -> int:
        return traded.transact(lambda tx: cosigned_size(tx, epoch, witness))

    first = note_of(traded)
    assert cosigned_by(OTHER.public, first.epoch) == 0
    for held in (first, first):
        traded.transact(lambda tx, held=held: append_witness(tx, held.stored.hash, cosigned(held)))  # type: ignore[misc]
        assert cosigned_by(OTHER.public, first.epoch) == first.checkpoint.size
    news(traded)
    second = note_of(traded)
    assert cosigned_by(OTHER.public, first.epoch) == first.checkpoint.size
    traded.transact(lambda tx: append_witness(tx, second.stored.hash, cosigned(second)))
    assert cosigned_by(OTHER.public, first.epoch) == second.checkpoint.size
    assert cosigned_by(CLIENT.public, first.epoch) == cosigned_by(OTHER.public, EPOCH) == 0


def test_what_is_no_cosignature_of_it_is_not_kept(traded: Ledger) -> None:
    first = note_of(traded)
    news(traded)
    held = note_of(traded)
    wrong: list[tuple[type[Exception], bytes, Cosignature]] = [
        (BadSignature, held.stored.hash, cosigned(first)),
        (BadSignature, held.stored.hash, Cosignature(CLIENT.public, cosigned(held).line)),
        (Misuse, bytes(32), cosigned(held)),
        (Misuse, traded.transact(lambda tx: tx.page())[0].hash, cosigned(held)),
    ]
    for error, answered, cosignature in wrong:
        with pytest.raises(error):
            traded.transact(lambda tx, a=answered, c=cosignature: append_witness(tx, a, c))  # type: ignore[misc]
    assert traded.transact(lambda tx: cosignatures(tx, held)) == []


def test_the_body_of_a_cosignature_has_one_form(traded: Ledger) -> None:
    cosignature = cosigned(note_of(traded))
    assert Cosignature.parse(cosignature.encode()) == cosignature
    for body in (b"\xa0", b"\x80", cosignature.encode()[:-1], b"\xa3" + cosignature.encode()[1:] + b"\x02\x00"):
        with pytest.raises(Malformed):
            Cosignature.parse(body)
    stranger = Cosignature(cosignature.key, type(cosignature.line)("example.com", bytes(4), bytes(72)))
    with pytest.raises(UnknownOrigin):
        _ = stranger.witness


def test_a_rotated_key_signs_from_its_turn_on(traded: Ledger) -> None:
    old = note_of(traded)
    traded.transact(lambda tx: rotate(tx, SECOND))
    new = note_of(traded)
    assert open_checkpoint(new.note, SECOND.public).size == old.checkpoint.size + 2
    assert traded.transact(lambda tx: tx.keys_of(CLIENT.public).key_at(new.epoch, new.checkpoint.size)) == SECOND.public
    proof = traded.transact(lambda tx: consistency_proof(tx, new, old.checkpoint.size))
    verify_consistency(old.checkpoint.size, old.checkpoint.root, new.checkpoint.size, new.checkpoint.root, proof)


def test_an_epoch_has_a_tree_of_its_own(traded: Ledger, path: Path) -> None:
    old = note_of(traded)
    traded.transact(open_epoch)
    new = note_of(traded)
    assert (new.checkpoint.size, new.epoch != old.epoch) == (1, True)
    started = traded.transact(lambda tx: tx.entry_at(CLIENT.public, new.epoch, 0))
    first = traded.transact(lambda tx: tx.entry_at(CLIENT.public, old.epoch, 0))
    assert first is not None
    assert started is not None
    assert traded.transact(lambda tx: inclusion_proof(tx, started.entry, new)) == []
    assert traded.transact(lambda tx: covering_checkpoint(tx, first.entry)) == old
    with pytest.raises(Misuse):
        traded.transact(lambda tx: inclusion_proof(tx, first.entry, new))
    traded.close()
    with LedgerReader.open(path) as reader:
        assert verify(reader, rule).ok


def test_a_witness_cosigns_with_a_key_that_it_has_and_has_not_revoked(traded: Ledger) -> None:
    held, chain = note_of(traded), KeyChain()

    def keep(signer: Signer) -> None:
        line = cosign(signer, NODE, held.checkpoint, AT_S)
        traded.transact(lambda tx: append_witness(tx, held.stored.hash, Cosignature(signer.public, line)))

    chain.rotate(SECOND)
    with pytest.raises(BadSignature):
        keep(SECOND)
    for signed in chain.keys:
        traded.transact(lambda tx, signed=signed: tx.receive(signed))  # type: ignore[misc]
    chain.succeed(THIRD, 2)
    traded.transact(lambda tx: tx.receive(chain.keys[-1]))
    for revoked in (FIRST, SECOND):
        with pytest.raises(BadSignature):
            keep(revoked)
    keep(THIRD)
    assert [each.key for each in traded.transact(lambda tx: cosignatures(tx, held))] == [THIRD.public]


def test_the_root_of_any_smaller_tree_reads_few_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer may ask for it with each frame."""
    read: list[int] = []
    payloads = Transaction.payloads

    def counted(self: Transaction, node: bytes, epoch: bytes, first: int, number: int) -> object:
        read.append(number)
        return payloads(self, node, epoch, first, number)

    with open_ledger(tmp_path / "db") as ledger:
        ledger.transact(lambda tx: [tx.append(EntryType.PAY, b"") for _ in range(5 * TILE_LEAVES)])
        held = ledger.transact(append_checkpoint)
        tree = ledger.transact(own_tree)
        monkeypatch.setattr(Transaction, "payloads", counted)
        for size in (1, 2, TILE_LEAVES - 1, TILE_LEAVES, 3 * TILE_LEAVES + 5, held.checkpoint.size):
            read.clear()
            assert ledger.transact(lambda tx, size=size: root_at(tx, held, size)) == tree.root(size)  # type: ignore[misc]
            assert sum(read) <= 2 * TILE_LEAVES
