"""Receipts altered at random, by strangers and by the parties themselves: whatever one verifier says of them, every
other has to say."""

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ledger import cbor
from ledger.entry import commit, sign_entry
from ledger.files.receipt import Receipt
from ledger.message import sign_message
from tests.support.deals import CLIENT, PROVIDER
from tests.support.key_deals import KEY_STORIES, OFFLINE, SECOND, THIRD
from tests.support.receipts import read, receipts, resigned_bodies
from tests.support.wrong_receipts import flipped
from v2xnode.identity import Identity

LETTERS = b'{}[]",:0123456789abcdefABCxyz+/= \\n\n\t'
ODD_TEXTS: tuple[Any, ...] = (None, True, 7, -1, "", "AA==", "====", "—", [], {})
ODD_NUMBERS = (-1, 0, 1, 2, 3, 40, 101, 203, 2**32, 2**48 + 1, 2**62, 2**63 - 1)


def altered(seed: int, number: int) -> Iterator[bytes]:
    """`number` files; the same for the same seed."""
    chance = random.Random(seed)
    ways = (_another_byte, _another_bit, _another_value, _another_order, _another_note, _another_body, _another_body)
    for at in range(number):
        name = chance.choice(list(KEY_STORIES if at % 4 == 0 else receipts()))
        way = _another_key if at % 4 == 0 else chance.choice(ways)
        yield way(chance, receipts()[name])


def _another_byte(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    at = chance.randrange(len(changed))
    changed[at] = chance.choice([*LETTERS, changed[at] ^ 1])
    return bytes(changed)


def _another_bit(chance: random.Random, data: bytes) -> bytes:
    value = json.loads(data)
    holder, name = chance.choice([(holder, name) for holder, name in _leaves(value) if _is_bytes(holder[name])])
    holder[name] = flipped(holder[name], chance.randrange(400))
    return json.dumps(value).encode()


def _another_value(chance: random.Random, data: bytes) -> bytes:
    value = json.loads(data)
    holder, name = chance.choice(list(_leaves(value)))
    text = holder[name] if isinstance(holder[name], str) else ""
    holder[name] = chance.choice([*ODD_TEXTS, text * 2, text[:-4]])
    return json.dumps(value).encode()


def _another_order(chance: random.Random, data: bytes) -> bytes:
    value = json.loads(data)
    items = chance.choice([each for each in (value["entries"], value["messages"], value["proofs"]) if each])
    one, other = chance.randrange(len(items)), chance.randrange(len(items))
    match chance.randrange(3):
        case 0:
            items[one], items[other] = items[other], items[one]
        case 1:
            items.pop(one)
        case _:
            items.insert(other, items[one])
    if chance.random() < 0.5:
        value |= {"checkpoint": "", "proofs": []}
    return json.dumps(value, ensure_ascii=False).encode()


def _another_note(chance: random.Random, data: bytes) -> bytes:
    value = json.loads(data)
    note = value["checkpoint"] or "\n"
    at = chance.randrange(len(note))
    value["checkpoint"] = note[:at] + chance.choice(["", "\n", " ", "x", "0", "+", "—", note[at] * 2]) + note[at + 1 :]
    return json.dumps(value).encode()


def _another_body(chance: random.Random, data: bytes) -> bytes:
    """Signed again by its own party, with all that hangs on it: only its meaning can be wrong."""
    receipt = read(data)
    if chance.random() < 0.4:
        return _with_another_message(chance, receipt).encode()
    bodies = [each.body for each in receipt.entries]
    at = chance.randrange(len(bodies))
    bodies[at] = _other_map(chance, bodies[at])
    return resigned_bodies(receipt, bodies).encode()


def _with_another_message(chance: random.Random, receipt: Receipt) -> Receipt:
    at = chance.randrange(2)
    who: Identity = (CLIENT, PROVIDER)[at]
    message = receipt.messages[at]
    payload = _other_map(chance, message.payload)
    again = sign_message(who.signer, message.kind, payload)
    messages = [*receipt.messages]
    messages[at] = again
    bodies = [each.body for each in receipt.entries]
    return resigned_bodies(replace(receipt, messages=tuple(messages)), bodies, renamed={message.hash: again.hash})


def _another_key(chance: random.Random, data: bytes) -> bytes:
    """A KEY entry that says or stands otherwise, signed by one of the keys."""
    receipt = read(data)
    at = chance.randrange(len(receipt.keys))
    old, signer = receipt.keys[at], chance.choice([PROVIDER.signer, SECOND, OFFLINE, THIRD])
    body = _other_map(chance, old.body) if chance.random() < 0.7 else old.body
    changes: dict[str, Any] = chance.choice(
        [{}, {}, {"seq": chance.randrange(9)}, {"epoch": bytes(8)}, {"prev": bytes(32)}]
    )
    entry = replace(old.entry, body_commitment=commit(old.salt, body), **changes)
    keys = [*receipt.keys]
    keys[at] = sign_entry(signer, entry, salt=old.salt, body=body, request_id=None)
    match chance.randrange(6):
        case 0:
            keys.pop(chance.randrange(len(keys)))
        case 1:
            keys.reverse()
    return replace(receipt, keys=tuple(keys)).encode()


def _other_map(chance: random.Random, encoded: bytes) -> bytes:
    fields = cbor.decode(encoded)
    if not isinstance(fields, dict):
        return encoded
    key = chance.choice([*fields, chance.randrange(24)])
    if chance.random() < 0.15:
        fields.pop(key, None)
    else:
        fields[key] = _other_value(chance, fields.get(key, 0))
    return cbor.encode(fields)


def _other_value(chance: random.Random, value: Any) -> Any:
    match value:
        case bool() | str():
            return chance.choice(["EUR", "USD", "eu", "E\u00a0R", "", 0, True])
        case int():
            return chance.choice([*ODD_NUMBERS, value + 1, max(0, value - 1), value * 2])
        case list() if value:
            at = chance.randrange(len(value))
            return chance.choice(
                [[*value[:at], _other_value(chance, value[at]), *value[at + 1 :]], value[:-1], value * 2]
            )
        case list():
            return [chance.choice(ODD_NUMBERS)]
        case bytes():
            return chance.choice([value[:-1], value[::-1], bytes(len(value)), value])
    return value


def _leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    names = value if isinstance(value, dict) else range(len(value))
    for name in names:
        if isinstance(value[name], dict | list) and value[name]:
            yield from _leaves(value[name])
        else:
            yield value, name


def _is_bytes(value: Any) -> bool:
    return isinstance(value, str) and len(value) > 20 and "\n" not in value
