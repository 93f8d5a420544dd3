"""Receipt files that are wrong, each in one way, with the code under which every verifier has to refuse it."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from ledger.files.receipt import MAX_MESSAGES
from ledger.filing import entry_to_json
from market.terms import Accept, Close, Closed, Dispute, EntryBody, Interval, Receipt, Resolve
from tests.spec.trade import counted, ledger_of
from tests.support.deals import PROVIDER
from tests.support.receipts import read, receipts, resigned

Change = Callable[[dict[str, Any]], object]


@cache
def wrong_receipts() -> Mapping[str, tuple[bytes, str]]:
    """All of them by name: altered by a stranger, and signed wrongly by the parties themselves."""
    altered = {name: (_altered(change), code) for name, (change, code) in _ALTERED.items()}
    colluding = {name: (colluded(name), case[-1]) for name, case in _COLLUDING.items()}
    cut = {f"without entry {gone}": (_cut(gone), code) for gone, code in enumerate(_CUT)}
    return altered | colluding | cut


def _altered(change: Change) -> bytes:
    value = json.loads(receipts()["fixed"])
    change(value)
    return json.dumps(value).encode()


def colluded(name: str) -> bytes:
    """A truly signed receipt that does not add up."""
    story, kind, number, fields, _ = _COLLUDING[name]
    receipt = read(receipts()[story])
    return resigned(receipt, place(story, kind, number), changed(**fields)).encode()


def _cut(gone: int) -> bytes:
    """Without one entry, and without a checkpoint, whose proofs would show it."""
    receipt = read(receipts()["fixed"])
    entries = receipt.entries[:gone] + receipt.entries[gone + 1 :]
    return replace(receipt, note=None, proofs=(), entries=entries).encode()


def changed(**fields: object) -> Callable[[EntryBody], EntryBody]:
    """A body with other fields."""
    return lambda message: replace(message, **fields)  # type: ignore[arg-type]


def place(name: str, kind: type[EntryBody], number: int = 0) -> int:
    """Of the n-th entry of that type."""
    names = [each.entry.type.name for each in read(receipts()[name]).entries]
    return [at for at, each in enumerate(names) if each == kind.__name__.upper()][number]


def flipped(text: str, at: int = 20) -> str:
    """The same bytes but for one bit."""
    data = bytearray(base64.b64decode(text))
    data[at % len(data)] ^= 1
    return base64.b64encode(data).decode()


def flip(*path: Any, at: int = 20) -> Change:
    def change(value: dict[str, Any]) -> None:
        place: Any = value
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = flipped(place[path[-1]], at)

    return change


def put(name: str, value: Any) -> Change:
    return lambda receipt: receipt.update({name: value})


_ALTERED: dict[str, tuple[Change, str]] = {
    "another bit in a payload": (flip("entries", 3, "payload", at=90), "bad_signature"),
    "another bit in a body": (flip("entries", 3, "body", at=5), "bad_commitment"),
    "another bit in a salt": (flip("entries", 3, "salt"), "bad_commitment"),
    "another bit in a signature": (flip("entries", 3, "signature"), "bad_signature"),
    "another bit in the offer": (flip("messages", 1, "payload", at=-1), "bad_signature"),
    "another bit in the offer's signature": (flip("messages", 1, "signature"), "bad_signature"),
    "another signer of the offer": (flip("messages", 1, "signer"), "bad_signature"),
    "another kind of message": (lambda r: r["messages"][1].update(kind="COUNTER"), "bad_signature"),
    "an unknown kind of message": (lambda r: r["messages"][1].update(kind="TALK"), "malformed"),
    "another request id": (flip("request_id", at=3), "malformed"),
    "another node": (flip("node", at=3), "unknown_origin"),
    "another hash in a proof": (flip("proofs", 0, 0), "bad_proof"),
    "a proof too few": (lambda r: r["proofs"].pop(), "bad_proof"),
    "two proofs swapped": (lambda r: r["proofs"].reverse(), "bad_proof"),
    "an entry too few": (lambda r: r["entries"].pop(2), "bad_proof"),
    "an entry twice": (lambda r: r["entries"].insert(2, r["entries"][2]), "malformed"),
    "a salt of 15 bytes": (lambda r: r["entries"][0].update(salt=_64(bytes(15))), "bad_commitment"),
    "another size in the checkpoint": (lambda r: r.update(checkpoint=_sized(r["checkpoint"])), "bad_signature"),
    "another cosigner's time": (lambda r: r.update(checkpoint=_at_another_time(r["checkpoint"])), "bad_signature"),
    "no node's signature": (lambda r: r.update(checkpoint=_without(r["checkpoint"], 0)), "bad_signature"),
    "a note without its newline": (lambda r: r.update(checkpoint=r["checkpoint"][:-1]), "malformed"),
    "no checkpoint, and proofs": (put("checkpoint", ""), "bad_proof"),
    "base64 with blanks": (lambda r: r.update(node=r["node"] + " "), "malformed"),
    "base64 of another form": (lambda r: _loosely_signed(r), "not_canonical"),
    "a field too many": (put("more", 1), "malformed"),
    "a field too few": (lambda r: r.pop("keys"), "malformed"),
    "a number for bytes": (put("node", 7), "malformed"),
    "no list": (put("entries", {}), "malformed"),
    "more messages than there may be": (lambda r: r.update(messages=r["messages"] * MAX_MESSAGES), "too_large"),
    "an entry of no trade": (lambda r: r.update(entries=[_genesis()]), "malformed"),
    "hostile CBOR": (lambda r: r["entries"][0].update(payload=_64(b"\x9f" * 400)), "not_canonical"),
    "deep CBOR": (lambda r: r["entries"][0].update(payload=_64(b"\x81" * 400)), "too_large"),
}  # fmt: skip


def _sized(note: str) -> str:
    origin, size, rest = note.split("\n", 2)
    return f"{origin}\n{int(size) + 1}\n{rest}"


def _lines(note: str) -> tuple[str, list[str]]:
    text, _, below = note.partition("\n\n")
    return text + "\n", below.splitlines()


def _without(note: str, line: int) -> str:
    text, lines = _lines(note)
    return "\n".join([text, *lines[:line], *lines[line + 1 :], ""])


def _at_another_time(note: str) -> str:
    text, lines = _lines(note)
    dash, name, encoded = lines[1].split(" ")
    return "\n".join([text, lines[0], f"{dash} {name} {flipped(encoded, 11)}", ""])


def _loose(text: str) -> str:
    """64 bytes end in two letters and two signs of equality, and the last letter has four bits to spare."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return text[:-3] + alphabet[alphabet.index(text[-3]) + 1] + "=="


def _loosely_signed(receipt: dict[str, Any]) -> None:
    receipt["entries"][0]["signature"] = _loose(receipt["entries"][0]["signature"])


def _64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _genesis() -> dict[str, str]:
    with ledger_of(PROVIDER, counted(11)) as ledger:
        return entry_to_json(ledger.transact(lambda view: view.page()[0].signed))


ALTERED = tuple(_ALTERED)
"""Names of those that no knowledge of energy is needed for."""

_COLLUDING: dict[str, tuple[str, type[EntryBody], int, dict[str, object], str]] = {
    "a receipt over another sum": ("fixed", Receipt, 2, {"amounts_micro": (1,)}, "does_not_add_up"),
    "a receipt over more energy": ("fixed", Receipt, 2, {"agreed_wh": 1_000}, "does_not_add_up"),
    "registers beyond the tolerance": ("fixed", Receipt, 3, {"register_wh": 883_012}, "does_not_add_up"),
    "a register that ran backwards": ("fixed", Interval, 3, {"register_wh": 1}, "out_of_order"),
    "an interval out of turn": ("fixed", Interval, 2, {"number": 5}, "out_of_order"),
    "time that ran backwards": ("fixed", Interval, 2, {"end_at_ms": 1}, "out_of_order"),
    "a settlement over another sum": ("fixed", Close, 0, {"amounts_micro": (1,)}, "does_not_add_up"),
    "an answer over another sum": ("fixed", Closed, 0, {"amounts_micro": (1,)}, "does_not_add_up"),
    "a settlement over fewer receipts": ("fixed", Close, 0, {"receipts": 1}, "does_not_add_up"),
    "another currency": ("fixed", Accept, 0, {"currency": "USD"}, "does_not_add_up"),
    "somebody else as the peer": ("fixed", Close, 0, {"peer": bytes(32)}, "wrong_party"),
    "a dispute about nothing": ("disputed", Dispute, 0, {"number": 7}, "out_of_order"),
    "a dispute over more": ("disputed", Dispute, 0, {"undisputed_wh": 190}, "does_not_add_up"),
    "a resolution of one side only": ("resolved", Resolve, 0, {"agreed_wh": 150}, "does_not_add_up"),
    "a resolution over another sum": ("resolved", Resolve, 1, {"amounts_micro": (1, 2, 3, 4)}, "does_not_add_up"),
}


_CUT = (
    "wrong_party",  # the Accept
    *["out_of_order"] * 9,
    "out_of_order",  # the Close
    "out_of_order",
)
"""By the place of the entry that is left out."""
