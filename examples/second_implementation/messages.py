"""Every message's map: its fields, their ranges and defaults (docs/protocol.md, Messages), as a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from examples.second_implementation.encoding import decode, encode
from examples.second_implementation.keys import ProtocolError, need

Check = Callable[[Any], bool]
ENERGY, REGISTER, AT, U32 = 10_000_000, 2**48, 2**42, 2**32 - 1
MONTH = 2_678_400_000
PRICE = 1_000_000_000
REASONS = frozenset({*range(1, 20), *range(60, 80)})
REQUIRED: Any = object()


def num(low: int, high: int) -> Check:
    return lambda value: type(value) is int and low <= value <= high


def raw(size: int) -> Check:
    return lambda value: type(value) is bytes and len(value) == size


def some(low: int, high: int) -> Check:
    return lambda value: type(value) is bytes and low <= len(value) <= high


def text(high: int) -> Check:
    return lambda value: type(value) is str and len(value) <= high


def array(of: Check, low: int, high: int) -> Check:
    return lambda value: type(value) is list and low <= len(value) <= high and all(map(of, value))


def record(*of: Check) -> Check:
    return lambda value: (
        type(value) is list
        and len(value) == len(of)
        and all(check(each) for check, each in zip(of, value, strict=True))
    )


def currency(value: Any) -> bool:
    return type(value) is str and len(value) == 3


def flag(value: Any) -> bool:
    return type(value) is bool


def nothing_or(check: Check) -> Check:
    return lambda value: value == [] or check(value)


def reason(value: Any) -> bool:
    return type(value) is int and value in REASONS


@dataclass(frozen=True, slots=True)
class Field:
    """One field; `left_out` is what the receiver can put back: it stands in what is signed and not on the wire."""

    name: str
    check: Check
    default: Any = REQUIRED
    left_out: bool = False


def left_out(name: str, size: int) -> Field:
    return Field(name, raw(size), left_out=True)


ID, PEER = left_out("request_id", 16), left_out("peer", 32)
AT_S = Field("at_s", num(0, AT // 1_000))
REASON = Field("reason", reason)
LIMITS = Field("acceptable", array(record(num(1, 6), num(0, 2**62)), 0, 1), [])
AMOUNTS = array(num(0, 2**62), 0, 32)
SEQ = Field("seq", num(1, U32))
SUM = num(0, ENERGY)
NUMBER = num(0, 2**62)
NOTE = Field("note", some(1, 1_024))
ELECTRICAL = (
    Field("connectors", array(num(1, 8), 1, 8)),
    Field("profiles", array(num(1, 4), 1, 4)),
    Field("voltage_min_v", num(0, 2_000)),
    Field("voltage_max_v", num(0, 2_000)),
    Field("continuous_va", num(1, ENERGY)),
    Field("peak_va", num(0, ENERGY), 0),
    Field("phases", num(0, 3), 0),
    Field("frequency_millihz", num(0, 70_000), 0),
    Field("earthing", num(0, 2), 0),
    Field("isolated", flag, True),
    Field("grid_forming", flag, False),
)


def _is_electrical(value: Any) -> bool:
    try:
        from_map(ELECTRICAL, value)
    except ProtocolError:
        return False
    return True


HELLO, REQUEST, OFFER, DECLINE, COUNTER, ACCEPT, CONFIRM, REJECT, VOID, INTERVAL, RECEIPT = range(11)
DISPUTE, RESOLVE, CLOSE, CLOSED, READY, PLUG, START, PAUSE, POWER_LIMIT, STOP, SUBSCRIBE = range(11, 22)
ALIVE, STATUS, RESUME, RESOLVING_KEY, NET, PAY, CORRESPOND, RECALL, RECALLED, SHOWN = range(22, 32)
CHECKPOINT_SHOWN, COSIGNATURE, REMEMBERED = range(32, 35)

FIELDS: Mapping[int, tuple[Field, ...]] = {
    HELLO: (
        Field("versions", array(num(1, 255), 1, 8), [1]),
        Field("services", num(0, 15), 0),
        Field("electrical", _is_electrical),
        Field("currency", currency, "EUR"),
        Field("epoch", raw(8)),
        Field("holds", nothing_or(record(raw(4), num(0, 2**62))), []),
        Field("node", raw(32), b""),
    ),
    REQUEST: (
        Field("request_id", raw(16)),
        left_out("provider", 32),
        Field("service", num(1, 4)),
        Field("energy_wh", num(1, ENERGY)),
        Field("energy_min_wh", num(1, ENERGY)),
        Field("power_max_w", num(1, ENERGY)),
        Field("power_min_w", num(0, ENERGY), 0),
        Field("window_ms", num(1, MONTH)),
        Field("start_at_ms", num(0, AT), 0),
        Field("price_max_micro_per_kwh", num(0, PRICE)),
        Field("place", nothing_or(record(num(-18_000_000, 18_000_000), num(-18_000_000, 18_000_000))), []),
    ),
    OFFER: (
        ID,
        Field("number", num(0, 3), 0),
        Field("energy_wh", num(1, ENERGY)),
        Field("power_w", num(1, ENERGY)),
        Field("profile", num(1, 4)),
        Field("reference", num(0, 1), 0),
        Field("currency", currency, "EUR"),
        Field("price_kind", num(0, 2), 0),
        Field("price_steps", array(record(num(0, 2**62), num(0, PRICE)), 1, 24)),
        Field("fees", array(record(num(1, 2), num(0, 2**62)), 0, 4), []),
        Field("tax_permyriad", num(0, 10_000), 0),
        Field("loss", record(num(0, 2**62), num(0, 2**62))),
        Field("exposure_wh", num(2, ENERGY)),
        Field("interval_ms", num(1_000, 60_000), 60_000),
        Field("status_period_ms", num(250, 60_000), 1_000),
        Field("silence", num(0, 1), 0),
        Field("tolerance", record(num(0, 2**62), num(0, 2**62))),
        Field("start_within_ms", num(1_000, MONTH), 300_000),
        Field("pause_max_ms", num(0, MONTH), 600_000),
        Field("ttl_ms", num(1_000, 3_600_000), 60_000),
        Field("start_at_ms", num(0, AT), 0),
    ),
    DECLINE: (ID, REASON, LIMITS),
    COUNTER: (
        ID,
        Field("number", num(1, 3)),
        Field("price_max_micro_per_kwh", num(0, PRICE)),
        Field("energy_wh", num(1, ENERGY)),
    ),
    ACCEPT: (PEER, AT_S, Field("currency", currency, "EUR")),
    CONFIRM: (PEER, AT_S),
    REJECT: (PEER, AT_S, REASON, LIMITS),
    VOID: (PEER, AT_S, REASON),
    INTERVAL: (
        PEER,
        Field("number", num(0, U32)),
        Field("end_at_ms", num(0, AT)),
        Field("register_wh", num(0, REGISTER)),
    ),
    RECEIPT: (
        PEER,
        Field("number", num(0, U32)),
        Field("register_wh", num(0, REGISTER)),
        Field("agreed_wh", SUM, 0),
        Field("amounts_micro", AMOUNTS, []),
    ),
    DISPUTE: (
        PEER,
        AT_S,
        Field("number", num(0, U32)),
        Field("provider_wh", SUM),
        Field("client_wh", SUM),
        Field("undisputed_wh", SUM),
    ),
    RESOLVE: (PEER, AT_S, Field("agreed_wh", SUM), Field("amounts_micro", AMOUNTS)),
    CLOSE: (
        PEER,
        AT_S,
        REASON,
        Field("receipts", num(0, U32)),
        Field("agreed_wh", SUM),
        Field("amounts_micro", AMOUNTS),
    ),
    CLOSED: (PEER, AT_S, Field("receipts", num(0, U32)), Field("agreed_wh", SUM), Field("amounts_micro", AMOUNTS)),
    READY: (SEQ, Field("nonce", raw(8))),
    PLUG: (
        SEQ,
        Field("round", num(1, 65_535)),
        Field("step", num(1, 4)),
        Field("pattern", num(0, 65_535)),
        Field("voltage_mv", num(0, 2_000_000), 0),
    ),
    START: (SEQ, Field("nonce", raw(8))),
    PAUSE: (SEQ, Field("paused", flag)),
    POWER_LIMIT: (SEQ, Field("power_max_w", SUM)),
    STOP: (SEQ, REASON),
    SUBSCRIBE: (Field("status", flag, True),),
    ALIVE: (Field("status_number", num(0, U32)), Field("received_wh", num(0, REGISTER))),
    STATUS: (
        Field("number", num(0, U32)),
        Field("delivered_wh", num(0, REGISTER)),
        Field("power_w", SUM),
        Field("state", num(0, 6)),
        Field("soc_permille", num(-1, 1_000), -1),
    ),
    RESUME: (Field("session_id", raw(16)),),
    RESOLVING_KEY: (Field("key", raw(16)),),
    NET: (
        PEER,
        AT_S,
        Field("peer_head", raw(32)),
        Field("lines", array(record(currency, num(0, 2**62), num(0, 2**62)), 1, 8)),
    ),
    PAY: (
        PEER,
        AT_S,
        Field("amount_micro", num(1, 2**62)),
        Field("means", num(0, 4)),
        Field("currency", currency, "EUR"),
        Field("reference", text(64), ""),
        Field("received", flag, False),
        Field("draws", array(record(raw(32), raw(32), raw(32), raw(16)), 0, 1), []),
    ),
    CORRESPOND: (Field("session_id", raw(16), b""), Field("heard", array(raw(32), 0, 8), [])),
    RECALL: (
        Field("epoch", raw(4)),
        Field("from_seq", NUMBER),
        Field("after", NUMBER, 0),
        Field("keys", flag, False),
    ),
    RECALLED: (Field("after", NUMBER, 0),),
    SHOWN: (
        Field("payload", some(1, 1_024)),
        Field("signature", raw(64)),
        Field("request_id", raw(16), b""),
        Field("salt", raw(16), b""),
        Field("body", some(0, 1_024), b""),
        Field("kind", num(0, 4), 0),
        Field("signer", raw(32), b""),
    ),
    CHECKPOINT_SHOWN: (NOTE, Field("from_size", NUMBER, 0), Field("proof", array(raw(32), 0, 40), [])),
    COSIGNATURE: (Field("line", some(1, 512)),),
    REMEMBERED: (NOTE,),
}


def from_map(fields: tuple[Field, ...], found: Any, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Values by name, defaults and `given` (what was left out) filled in. Raises ProtocolError."""
    need(type(found) is dict and all(0 <= key < len(fields) for key in found), "An unknown field.")
    values: dict[str, Any] = {}
    for key, field in enumerate(fields):
        value = found.get(key, field.default)
        if given is not None and field.left_out:
            need(key not in found, f"{field.name} is left out on the wire.")
            value = given[field.name]
        need(value is not REQUIRED, f"{field.name} is missing.")
        need(value == field.default or field.check(value), f"{field.name} is out of its range.")
        spelled_out = key in found and value == field.default
        need(not spelled_out, f"{field.name} equals its default and stands there.")
        values[field.name] = value
    return values


def to_map(kind: int, values: Mapping[str, Any], *, wire: bool) -> dict[int, Any]:
    """The map as it is signed, or as it travels (`wire`)."""
    named = enumerate(FIELDS[kind])
    return {
        key: values[field.name]
        for key, field in named
        if not (wire and field.left_out) and values.get(field.name, field.default) != field.default
    }


def full(kind: int, values: Mapping[str, Any]) -> bytes:
    return encode(to_map(kind, values, wire=False))


def parse(kind: int, found: Any, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A message's fields, and the rules between them. Raises ProtocolError."""
    need(kind in FIELDS, "An unknown message.")
    values = from_map(FIELDS[kind], found, given)
    if kind in RULES:
        RULES[kind](values)
    return values


def parse_bytes(kind: int, data: bytes) -> dict[str, Any]:
    return parse(kind, decode(data))


def _request(values: dict[str, Any]) -> None:
    need(values["energy_min_wh"] <= values["energy_wh"], "The least is more than what is wanted.")
    need(values["power_min_w"] <= values["power_max_w"], "The least power is above the highest.")


def _offer(values: dict[str, Any]) -> None:
    edges = [edge for edge, _ in values["price_steps"]]
    kinds = [kind for kind, _ in values["fees"]]
    need(edges == sorted(set(edges)) and kinds == sorted(set(kinds)), "Steps and fees rise strictly.")
    need(values["price_kind"] != 0 or edges == [0], "A fixed price is one step from 0.")
    need(values["price_kind"] != 2 or edges[0] == 0, "Tiers begin at 0 Wh.")
    need(values["reference"] == (1 if values["profile"] == 1 else 0), "The reference is the profile's meter.")


RULES: Mapping[int, Callable[[dict[str, Any]], None]] = {REQUEST: _request, OFFER: _offer}
