"""Receipt files of each story that ends in a settlement, with a checkpoint that the client cosigned."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ledger.entry import Entry, SignedEntry, commit, sign_entry, trade_salt
from ledger.files.receipt import Receipt
from ledger.filing import read_file
from ledger.proofs.checkpoint import cosign
from ledger.proofs.proving import Cosignature, append_checkpoint, append_witness
from market.terms import EntryBody
from tests.support.deals import AT_S, CLIENT, PROVIDER, STORIES, Deal, Side, played, request_id, sides
from tests.support.key_deals import KEY_STORIES, NAME, key_deal
from v2xnode.envelope import body_of, message_of
from v2xnode.export.receipt import make_receipt
from v2xnode.identity import Identity

SETTLED = [name for name in STORIES if name not in ("void", "running")]
COSIGNED_AT_S = AT_S + 10_000


@cache
def receipts() -> Mapping[str, bytes]:
    """Of the provider's ledger, by story; "by the client", the fixed one of the other side without a checkpoint; and
    those of changed keys."""
    with TemporaryDirectory(prefix="receipts-") as directory, sides(Path(directory)) as (provider, client):
        for name in SETTLED:
            played(provider, client, name)
        checkpointed(provider, client)
        made = {name: receipt_of(provider, name).encode() for name in SETTLED}
        made["by the client"] = receipt_of(client, "fixed").encode()
    return made | {name: _of_keys(story) for name, story in KEY_STORIES.items()}


def _of_keys(story: Callable[[Deal], None]) -> bytes:
    """With a checkpoint that was made before the keys changed after the trade, and cosigned."""
    with key_deal() as deal:
        story(deal)
        held = deal.provider.ledger.transact(lambda view: view.keys_of(view.node).current)
        if held:
            checkpointed(deal.provider, deal.client)
        return receipt_of(deal.provider, NAME).encode()


def checkpointed(who: Side, witness: Side) -> None:
    """A checkpoint of all that is there, cosigned."""
    held = who.ledger.transact(append_checkpoint)
    line = cosign(witness.identity.signer, witness.key, held.checkpoint, COSIGNED_AT_S)
    who.ledger.transact(
        lambda transaction: append_witness(transaction, held.stored.hash, Cosignature(witness.key, line))
    )


def receipt_of(who: Side, name: str) -> Receipt:
    trade = who.trade(request_id(name))
    return who.ledger.transact(lambda view: make_receipt(view, trade))


def read(data: bytes) -> Receipt:
    """As `ledger verify FILE` reads it."""
    _, fields = read_file(data)
    return Receipt.parse(fields)


def resigned(receipt: Receipt, at: int, change: Callable[[EntryBody], EntryBody]) -> Receipt:
    """The same receipt with another body in one entry: what two parties that collude could make."""
    bodies = [each.body for each in receipt.entries]
    bodies[at] = body_of(change(message_of(receipt.entries[at])))[1]
    return resigned_bodies(receipt, bodies)


def resigned_bodies(receipt: Receipt, bodies: Sequence[bytes], renamed: Mapping[bytes, bytes] | None = None) -> Receipt:
    """The same receipt with these bodies, each entry signed again by its own party, and all that hangs on it renewed.
    Without a checkpoint, which would show it. renamed: hashes that are others already."""
    signer_of = {each.public: each for each in (PROVIDER, CLIENT)}
    others = dict(renamed or {})
    entries = []
    for old, body in zip(receipt.entries, bodies, strict=True):
        again = _signed_again(old, body, others, signer_of[old.entry.node])
        others[old.hash] = again.hash
        entries.append(again)
    return replace(receipt, entries=tuple(entries), note=None, proofs=())


def _signed_again(old: SignedEntry, body: bytes, renamed: dict[bytes, bytes], who: Identity) -> SignedEntry:
    entry = old.entry
    salt = trade_salt(old.request_id or b"", entry.epoch, entry.seq)
    changes: dict[str, Any] = {
        "prev": renamed.get(entry.prev, entry.prev),
        "answers": renamed.get(entry.answers, entry.answers),
        "body_commitment": commit(salt, body),
    }
    again = Entry(**{name: getattr(entry, name) for name in ("version", "node", "epoch", "seq", "type")}, **changes)
    return sign_entry(who.signer, again, salt=salt, body=body, request_id=old.request_id)
