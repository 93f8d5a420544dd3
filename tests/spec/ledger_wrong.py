"""One file for each way in which a ledger, a checkpoint or a proof can be wrong: tests/vectors/ledger.

`sound.json` is a ledger as rows: the client's of one settled trade, with its checkpoint, the provider's cosignature,
and what the client remembers of the provider. The other files say what is changed in it, or what its owner is shown.
"""

from __future__ import annotations

import tempfile
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ledger import cbor
from ledger.entry import Entry, EntryType, SignedEntry, commit, sign_entry, trade_salt
from ledger.filing import read_file
from ledger.proofs.checkpoint import Checkpoint, cosign, origin_of, sign_checkpoint
from ledger.proofs.merkle import Tree, leaf_hash
from ledger.proofs.note import Note, to_base64
from ledger.proofs.proving import Cosignature, HeldCheckpoint, append_checkpoint, append_witness, consistency_proof
from ledger.signing import AAD_ENTRY, Signer, sign1
from ledger.witnessing.fork import fork_of_checkpoints, fork_of_entries, to_file
from ledger.witnessing.witness import show
from tests.spec.ledger_books import Row, Rows, dumped
from tests.support.deals import AT_S, CLIENT, FIXED, PROVIDER, Deal, Side, sides

Json = Any

STRANGER = Signer(bytes([3]) * 32)
SMALL_ORDER = bytes([1]) + bytes(31)
"""The neutral element: with it for key and R, and 0 for S, a signature fits any message where that is not refused."""


@dataclass(frozen=True, slots=True)
class Books:
    """What the files are made from. own: the client's entries, by seq. theirs: the provider's checkpoints, by age."""

    rows: Rows
    own: list[SignedEntry]
    theirs: list[SignedEntry]
    held: HeldCheckpoint
    older: Note
    newer: Note
    newer_proof: list[bytes]


def ledger_files() -> dict[str, Json]:
    """Every file by its name."""
    with _books() as books:
        made = {"ledger/sound.json": books.rows}
        for part in (_of_rows(books), _of_checkpoints(books), _of_the_store(books), _of_files(books)):
            made |= {f"ledger/{name}.json": content for name, content in part.items()}
    return made


@contextmanager
def _books() -> Iterator[Books]:
    with tempfile.TemporaryDirectory() as name, sides(Path(name)) as (provider, client):
        _show_genesis(provider, client)
        Deal(provider, client, FIXED).play()
        older = provider.ledger.transact(append_checkpoint)
        client.ledger.transact(lambda tx: show(tx, older.note, 0, [], AT_S))
        held = client.ledger.transact(append_checkpoint)
        line = cosign(PROVIDER.signer, PROVIDER.public, held.checkpoint, AT_S)
        client.ledger.transact(lambda tx: append_witness(tx, held.stored.hash, Cosignature(PROVIDER.public, line)))
        rows, own = dumped(client.path), _chain(client)
        later = Deal(provider, client, replace(FIXED, request_id=bytes(16)))
        later.agree()
        newer = provider.ledger.transact(append_checkpoint)
        proof = provider.ledger.transact(lambda tx: consistency_proof(tx, newer, older.checkpoint.size))
        yield Books(rows, own, _chain(provider), held, older.note, newer.note, list(proof))


def _show_genesis(provider: Side, client: Side) -> None:
    """Each holds the other's first entry, so that its keys are known."""
    for one, other in ((provider, client), (client, provider)):
        first = one.ledger.transact(lambda tx: tx.page(limit=1))[0]
        other.ledger.transact(lambda tx, first=first: tx.receive(first.signed))  # type: ignore[misc]


def _chain(side: Side) -> list[SignedEntry]:
    return [each.signed for each in side.ledger.transact(lambda tx: tx.page(limit=1_000)) if each.own]


# the ledger's rows


def _of_rows(books: Books) -> dict[str, Json]:
    entries, postings = books.rows["entry"], books.rows["posting"]
    at = next(
        row["position"] for row in entries if row["type"] == EntryType.RECEIPT and row["node"] == CLIENT.public.hex()
    )
    row = entries[at - 1]
    renewed = {"table": "entry", "arrivals": True}
    body = bytes.fromhex(row["body"])
    return {
        "altered_body": _verified(
            "one byte of an entry's body is another, as if another amount had been receipted",
            [_set("entry", at, body=(body[:-1] + bytes([body[-1] ^ 1])).hex())],
            "bad_commitment",
            at,
        ),
        "altered_field": _verified(
            "an entry's prev is another, and every column and the running hash follow; the signature can't",
            [_set("entry", at, **_repayloaded(row, prev=bytes(32 * [7]))), renewed],
            "bad_signature",
            at,
        ),
        "altered_column": _verified(
            "a column beside the payload says another type", [_set("entry", at, type=5)], "column_differs", at
        ),
        "swapped_rows": _verified(
            "two of our own entries stand in each other's place, and the running hash is made anew",
            [{"table": "entry", "swap": [at, at + 2]}, renewed],
            "gap",
            at,
        ),
        "gap": _verified("a row is missing", [{"table": "entry", "delete": at}], "gap", at),
        "re-signed_by_another_key": _verified(
            "an entry carries the signature of another key over the same payload",
            [
                _set("entry", at, signature=sign1(PROVIDER.signer, bytes.fromhex(row["payload"]), AAD_ENTRY).hex()),
                renewed,
            ],
            "bad_signature",
            at,
        ),
        "foreign_entry": _verified(
            "a stranger's entry, well signed, stands where one of ours was: what answered ours answers nothing",
            [_set("entry", at, **_of_a_stranger(row)), renewed],
            "unanswered",
            at + 1,
        ),
        "foreign_ledger": _verified(
            "the ledger says that it is another node's",
            [{"table": "meta", "row": 2, "set": {"value": PROVIDER.public.hex()}}],
            "foreign",
            2,
            table="meta",
        ),
        "non-canonical_payload": _verified(
            "the version of an entry, 1, is written in two bytes, and its node signed that",
            [_set("entry", at, **_long_form(row)), renewed],
            "not_canonical",
            at,
        ),
        "posting_changed": _verified(
            "a posting says one millionth more",
            [_set("posting", 1, amount_micro=postings[0]["amount_micro"] + 1)],
            "column_differs",
            1,
            table="posting",
        ),
        "posting_missing": _verified(
            "the last posting is missing",
            [{"table": "posting", "behind": len(postings) - 1}],
            "gap",
            len(postings),
            table="posting",
        ),
        "changed_memory_of_a_peer": _verified(
            "what is remembered of the provider's chain says another size",
            [{"table": "witnessed", "row": 1, "set": {"size": 1}}],
            "column_differs",
            1,
            table="witnessed",
        ),
    }


def _of_a_stranger(row: Row) -> Row:
    """The columns of an entry that says the same in another node's name."""
    entry = replace(Entry.parse(bytes.fromhex(row["payload"])), node=STRANGER.public)
    signature = sign1(STRANGER, entry.payload, AAD_ENTRY)
    columns = {"node": entry.node, "payload": entry.payload, "hash": entry.hash, "signature": signature}
    return {name: value.hex() for name, value in columns.items()}


def _repayloaded(row: Row, **fields: Any) -> Row:
    """The columns of an entry that says something else, under its old signature."""
    entry = replace(Entry.parse(bytes.fromhex(row["payload"])), **fields)
    return {"payload": entry.payload.hex(), "hash": entry.hash.hex()}


def _long_form(row: Row) -> Row:
    payload = bytes.fromhex(row["payload"])
    longer = payload[:1] + b"\x18\x01" + payload[2:]
    return {"payload": longer.hex(), "signature": sign1(CLIENT.signer, longer, AAD_ENTRY).hex()}


# checkpoints


def _of_checkpoints(books: Books) -> dict[str, Json]:
    held = books.held.checkpoint
    place = books.held.stored.position
    behind = next(row["position"] for row in books.rows["entry"] if row["hash"] == books.own[-3].hash.hex())
    cut = [
        {"table": "entry", "behind": behind - 1},
        {"table": "posting", "behind": _postings_before(books.rows, behind)},
    ]
    rewritten = sign_checkpoint(CLIENT.signer, replace(held, root=bytes(32)))
    stranger = sign_checkpoint(PROVIDER.signer, replace(held, origin=origin_of(PROVIDER.public, held.place[1])))
    elsewhere = Checkpoint(origin_of(CLIENT.public, bytes(8)), held.size, held.root)
    return {
        "truncated_tail": {
            **_verified("the newest entries are missing that a kept checkpoint was signed over", cut, "truncated", 0),
            "checkpoint": bytes(books.held.note).decode(),
        },
        "rewritten_history": {
            **_verified("our own key signed another root for as many entries", [], "rewritten", 0),
            "checkpoint": bytes(rewritten).decode(),
        },
        "foreign_checkpoint": {
            **_verified("the checkpoint is another node's", [], "foreign", None),
            "checkpoint": bytes(stranger).decode(),
        },
        "wrong_epoch_of_a_checkpoint": _verified(
            "our own CHECKPOINT entry names an epoch that it does not stand in, signed by us as a whole",
            [
                _set(
                    "entry",
                    place,
                    **_own_again(books, books.held.stored.signed, sign_checkpoint(CLIENT.signer, elsewhere)),
                )
            ],
            "wrong_checkpoint",
            place,
        ),
        "wrong_root_of_a_checkpoint": _verified(
            "our own CHECKPOINT entry says another root, signed by us as a whole",
            [_set("entry", place, **_own_again(books, books.held.stored.signed, rewritten))],
            "wrong_checkpoint",
            place,
        ),
        "rollback": _shown(
            "a checkpoint smaller than the one remembered, of the same history: nothing is proven, nothing cosigned",
            _smaller(books),
            0,
            [],
            "remembered",
        ),
        "inconsistent_history": _shown(
            "a larger checkpoint that did not grow out of the one remembered, with the proof of another",
            _other_history(books, Checkpoint.parse(books.newer.text).size),
            Checkpoint.parse(books.older.text).size,
            books.newer_proof,
            "bad_proof",
        ),
        "checkpoint_by_another_key": _shown(
            "a checkpoint of the provider that another key signed",
            Note(books.newer.text, sign_checkpoint(CLIENT.signer, Checkpoint.parse(books.newer.text)).signatures),
            0,
            [],
            "bad_signature",
        ),
    }


def _postings_before(rows: Rows, position: int) -> int:
    kept = {row["hash"] for row in rows["entry"] if row["position"] < position}
    return sum(row["entry_hash"] in kept for row in rows["posting"])


def _own_again(books: Books, signed: SignedEntry, note: Note) -> Row:
    """The columns of an entry of ours with another note for its body, signed anew: as only we can."""
    body = bytes(note)
    entry = replace(signed.entry, body_commitment=commit(signed.salt, body))
    again = sign_entry(CLIENT.signer, entry, salt=signed.salt, body=body, request_id=None)
    return {
        "payload": entry.payload.hex(),
        "hash": entry.hash.hex(),
        "signature": again.signature.hex(),
        "body": body.hex(),
    }


def _smaller(books: Books) -> Note:
    older = Checkpoint.parse(books.older.text)
    tree = Tree(leaf_hash(each.entry.payload) for each in books.theirs)
    return sign_checkpoint(PROVIDER.signer, replace(older, size=older.size - 1, root=tree.root(older.size - 1)))


def _other_history(books: Books, size: int) -> Note:
    older = Checkpoint.parse(books.older.text)
    return sign_checkpoint(PROVIDER.signer, replace(older, size=size, root=bytes(32)))


# entries that are shown to the store


def _of_the_store(books: Books) -> dict[str, Json]:
    theirs = next(each for each in books.theirs if each.entry.type is EntryType.INTERVAL)
    tail = next(row["position"] for row in books.rows["entry"] if row["hash"] == books.own[-3].hash.hex())
    cut = [
        {"table": "entry", "behind": tail - 1},
        {"table": "posting", "behind": _postings_before(books.rows, tail)},
    ]
    return {
        "fork": _received("a second entry of the provider for a place of its chain", _twin(theirs), [], "fork"),
        "restored_copy": _received(
            "our own entry, shown to a ledger from which the newest were taken back: it may not sign on",
            books.own[-3],
            cut,
            "beyond_head",
        ),
        "entry_signed_by_another_key": _received(
            "an entry of the provider with the client's signature",
            replace(theirs, signature=sign1(CLIENT.signer, theirs.entry.payload, AAD_ENTRY)),
            [],
            "bad_signature",
        ),
        "entry_with_another_body": _received(
            "an entry with a body that it does not commit to",
            replace(theirs, body=theirs.body + b"\x00"),
            [],
            "bad_commitment",
        ),
        "entry_of_another_epoch": _received(
            "an entry in an epoch whose KEY entry is not held: which key signs there is not known",
            replace(theirs, entry=replace(theirs.entry, epoch=bytes(8))),
            [],
            "gap",
        ),
        "small-order_key": _received(
            "an entry of a node whose key is the neutral element, with a signature that fits any message where "
            "small orders are not refused",
            _of_small_order(),
            [],
            "bad_signature",
        ),
        "non-canonical_entry": _received(
            "an entry whose version is written in two bytes", theirs, [], "not_canonical", payload=_longer(theirs)
        ),
    }


def _twin(signed: SignedEntry, signer: Signer = PROVIDER.signer) -> SignedEntry:
    """Another entry for the same place, signed by the same node."""
    body = cbor.encode({0: CLIENT.public})
    entry = replace(signed.entry, body_commitment=commit(signed.salt, body))
    return replace(signed, entry=entry, body=body, signature=sign1(signer, entry.payload, AAD_ENTRY))


def _of_small_order() -> SignedEntry:
    salt = trade_salt(FIXED.request_id, bytes(8), 1)
    entry = Entry(1, SMALL_ORDER, bytes(8), 1, bytes(32 * [1]), EntryType.INTERVAL, b"", commit(salt, b"\xa0"))
    return SignedEntry(entry, SMALL_ORDER + bytes(32), salt, b"\xa0", FIXED.request_id)


def _longer(signed: SignedEntry) -> bytes:
    return signed.entry.payload[:1] + b"\x18\x01" + signed.entry.payload[2:]


# files


def _of_files(books: Books) -> dict[str, Json]:
    entry, older = books.theirs[3], Checkpoint.parse(books.older.text)
    fork = _file(fork_of_entries(entry, _twin(entry)))
    other = _other_history(books, older.size)
    checkpoints = _file(fork_of_checkpoints(books.older, other, PROVIDER.public))
    statement = {"payload": to_base64(books.theirs[4].entry.payload), "signature": to_base64(books.theirs[4].signature)}
    newer = {"payload": to_base64(books.newer.text.encode()), "signature": _signature(books.newer)}
    line = cosign(PROVIDER.signer, PROVIDER.public, replace(older, root=bytes(32)), AT_S)
    by_thief = {**fork["second"], "signature": to_base64(_twin(entry, CLIENT.signer).signature)}
    return {
        "fork_proof_of_entries": _filed("two entries of one node for one place: it proves what it says", fork, ""),
        "fork_proof_of_checkpoints": _filed("two roots for one size: it proves what it says", checkpoints, ""),
        "weak_fork_proof_by_another_place": _filed(
            "two entries of an honest node, one after the other", _ordered({**fork, "second": statement}), "no_fork"
        ),
        "weak_fork_proof_by_a_smaller_checkpoint": _filed(
            "two checkpoints of an honest node that grew, without a proof between them",
            _ordered({**checkpoints, "first": _statement(books.older), "second": newer}),
            "no_fork",
        ),
        "weak_fork_proof_by_one_statement_twice": _filed(
            "the same entry of an honest node twice", {**fork, "second": fork["first"]}, "no_fork"
        ),
        "weak_fork_proof_by_another_key": _filed(
            "an entry of an honest node, and one that somebody else signed for its place",
            {**fork, "second": by_thief},
            "bad_signature",
        ),
        "weak_fork_proof_by_a_cosignature": _filed(
            "what an honest witness cosigned, passed off as its own checkpoint",
            _ordered(
                {
                    **checkpoints,
                    "first": _statement(books.older),
                    "second": {
                        "payload": to_base64(replace(older, root=bytes(32)).text.encode()),
                        "signature": to_base64(line.signature[8:]),
                    },
                }
            ),
            "bad_signature",
        ),
        "fork_proof_with_foreign_keys": _filed(
            "the keys in the file are another node's",
            {**fork, "keys": [_entry_json(books.own[0])]},
            "bad_signature",
        ),
        "unknown_form": _filed("a file of a form that nobody knows", {"form": "v2x-receipt/9"}, "unknown_form"),
    }


def _file(proof: Any) -> Json:
    form, fields = read_file(to_file(proof, []))
    return {"form": form, **fields}


def _ordered(file: Json) -> Json:
    """The two statements in the order of their payloads, as the form wants them."""
    first, second = sorted((file["first"], file["second"]), key=lambda each: b64decode(each["payload"]))
    return {**file, "first": first, "second": second}


def _statement(note: Note) -> Json:
    return {"payload": to_base64(note.text.encode()), "signature": _signature(note)}


def _signature(note: Note) -> str:
    return to_base64(note.signatures[0].signature)


def _entry_json(signed: SignedEntry) -> Json:
    parts = {"payload": signed.entry.payload, "signature": signed.signature, "salt": signed.salt, "body": signed.body}
    return {name: to_base64(value) for name, value in parts.items()}


# their forms


def _set(table: str, row: int, **values: Any) -> Row:
    return {"table": table, "row": row, "set": values}


def _verified(what: str, changes: list[Row], code: str, row: int | None, *, table: str = "entry") -> Json:
    where = None if row is None else {"table": table, "row": row}
    return {"what": what, "checked_by": "verify", "changes": changes, "code": code, "where": where}


def _received(what: str, signed: SignedEntry, changes: list[Row], code: str, payload: bytes = b"") -> Json:
    entry = {
        "payload": (payload or signed.entry.payload).hex(),
        "signature": (signed.signature if not payload else sign1(PROVIDER.signer, payload, AAD_ENTRY)).hex(),
        "salt": signed.salt.hex(),
        "body": signed.body.hex(),
        "request_id": None if signed.request_id is None else signed.request_id.hex(),
    }
    return {"what": what, "checked_by": "store", "changes": changes, "entry": entry, "code": code, "where": None}


def _shown(what: str, note: Note, old_size: int, proof: list[bytes], code: str) -> Json:
    told = {"note": bytes(note).decode(), "old_size": old_size, "proof": [each.hex() for each in proof]}
    return {"what": what, "checked_by": "witness", "changes": [], **told, "code": code, "where": None}


def _filed(what: str, file: Json, code: str) -> Json:
    return {"what": what, "checked_by": "file", "changes": [], "file": file, "code": code, "where": None}
