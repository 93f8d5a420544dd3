"""Recompute every trade from exported ledgers alone, trusting nobody who wrote them.

    v2xnode ledger export --data car_a > car_a.jsonl
    v2xnode ledger export --data car_b > car_b.jsonl
    python examples/recompute.py car_a.jsonl car_b.jsonl

It needs the standard library, cbor2 and PyNaCl, and nothing of v2xnode: hashes, signatures, commitments and chains are
checked, then each trade's energy and money is computed again from the signed offer and the two meters' registers, and
both parties must hold the same entries. Exit 0: everything is as they say, to the watt-hour and the millionth. Exit 1:
something differs, and the sentence says what. An export does not show whether its newest entries were left out;
a trade that its peer's export holds, or holds further, is found.
"""

import hashlib
import hmac
import json
import sys
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import cbor2
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

FORM = "v2x-ledger/1"
PROTECTED = bytes.fromhex("a10127")  # COSE: algorithm EdDSA
ENTRY_AAD = b"v2x-trade/1 entry"
LETTER_AAD = {name: b"v2x-trade/1 " + name.lower().encode() for name in ("REQUEST", "OFFER", "COUNTER", "VOUCHER")}
# fmt: off
KINDS = ("", "KEY", "ACCEPT", "CONFIRM", "REJECT", "VOID", "INTERVAL", "RECEIPT", "DISPUTE", "RESOLVE", "CLOSE",
         "CLOSED", "NET", "PAY", "CHECKPOINT", "WITNESS", "FORK")
# fmt: on
OF_TRADE = frozenset(KINDS[2:12])
PROVIDER_WRITES, CLIENT_WRITES = ("CONFIRM", "REJECT", "INTERVAL"), ("ACCEPT", "RECEIPT")
MUST_ANSWER = {"CONFIRM": "ACCEPT", "REJECT": "ACCEPT", "RECEIPT": "INTERVAL", "CLOSED": "CLOSE"}
STATES = {"INTERVAL": "delivering", "VOID": "void", "REJECT": "rejected", "CLOSE": "closing", "CLOSED": "settled"}
DROPPED: dict[int, Any] = {}  # what a body says that was dropped after both had netted the trade
SERVICES = {1: "V2V", 2: "V2L", 3: "V2H", 4: "V2B"}
FIXED, TIME_OF_USE, TIERED = 0, 1, 2
PROVIDER = 0
MALFORMED = (KeyError, IndexError, TypeError, ValueError, AttributeError, cbor2.CBORError)


class Difference(Exception):
    """Something is not as the exports say."""


def expect(holds: bool, sentence: str) -> None:
    """Raise Difference with `sentence` unless it holds."""
    if not holds:
        raise Difference(sentence)


# --- what is signed ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Letter:
    """A signed request, offer, counter or voucher; `says` is its map of numbered fields."""

    kind: str
    signer: bytes
    request_id: bytes
    hash: bytes
    says: dict[int, Any]


@dataclass(frozen=True)
class Entry:
    """A signed entry of one node's chain; `says` is its body, the map of numbered fields to which it commits."""

    node: bytes
    epoch: bytes
    seq: int
    prev: bytes
    kind: str
    answers: bytes
    request_id: bytes
    hash: bytes
    says: dict[int, Any]

    def __str__(self) -> str:
        return f"entry {self.seq} ({self.kind}) of {self.node.hex()[:12]}"


@dataclass
class Ledger:
    """One export, checked: the node's own chain, what it holds of others', and the letters, each by its hash."""

    name: str
    node: bytes
    letters: dict[bytes, Letter] = field(default_factory=dict)
    entries: dict[bytes, Entry] = field(default_factory=dict)

    def trade(self, request_id: bytes) -> list[Entry]:
        """The entries of one trade, in the order in which they came."""
        return [entry for entry in self.entries.values() if entry.request_id == request_id]


def signed_payload(cose: bytes, signer: bytes, aad: bytes, what: str) -> bytes:
    """The payload of a COSE_Sign1 (RFC 9052, 4.2 and 4.4) whose Ed25519 signature is the signer's."""
    protected, unprotected, payload, signature = decode(cose, what)
    expect(protected == PROTECTED and unprotected == {}, f"{what}: not the signature form of this protocol")
    try:
        VerifyKey(signer).verify(cbor2.dumps(["Signature1", protected, aad, payload]), signature)
    except BadSignatureError:
        raise Difference(f"{what}: the signature is not that of {signer.hex()[:12]}") from None
    return bytes(payload)


def decode(data: bytes, what: str) -> Any:
    """CBOR in its one deterministic encoding, so that nobody signs bytes that two readers read differently."""
    value = cbor2.loads(data)
    expect(cbor2.dumps(value, canonical=True) == data, f"{what}: not deterministic CBOR")
    return value


def read_letter(record: dict[str, Any]) -> Letter:
    """A kept message. Raises Difference."""
    what = f"message {record['position']} ({record['message']})"
    signer, request_id = bytes.fromhex(record["signer"]), bytes.fromhex(record["request_id"])
    cose = bytes.fromhex(record["cose_sign1"])
    payload = signed_payload(cose, signer, LETTER_AAD[record["message"]], what)
    says = decode(payload, what)
    expect(payload.hex() == record["payload"], f"{what}: the payload shown is not the one signed")
    expect(hash_of(payload).hex() == record["hash"], f"{what}: the hash is another")
    expect(says[0] == request_id, f"{what}: it belongs to another request")
    return Letter(record["message"], signer, request_id, hash_of(payload), says)


def read_entry(record: dict[str, Any]) -> Entry:
    """An entry with its body. Raises Difference."""
    what = f"entry {record['seq']} ({record['type']}) of {record['node'][:12]}"
    node, body, salt = (bytes.fromhex(record[name]) for name in ("node", "body", "salt"))
    payload = signed_payload(bytes.fromhex(record["cose_sign1"]), node, ENTRY_AAD, what)
    shown = [record["version"], *(record[name] for name in ("node", "epoch", "seq", "prev", "type", "answers"))]
    version, signer, epoch, seq, prev, kind, answers, commitment = decode(payload, what)
    signed = [version, signer.hex(), epoch.hex(), seq, prev.hex(), KINDS[kind], answers.hex()]
    expect(shown == signed, f"{what}: what is shown is not what is signed")
    expect(hash_of(payload).hex() == record["hash"], f"{what}: the hash is another")
    request_id = bytes.fromhex(record["request_id"] or "")
    if request_id and not salt and not body:
        return Entry(node, epoch, seq, prev, KINDS[kind], answers, request_id, hash_of(payload), DROPPED)
    expect(len(salt) == 16 and hash_of(salt + body) == commitment, f"{what}: the body is not the one committed to")
    expect(bool(request_id) == (KINDS[kind] in OF_TRADE), f"{what}: it belongs to no trade, or to one it should not")
    if request_id:
        keyed = hmac.digest(request_id, epoch + seq.to_bytes(8, "big"), "sha256")
        expect(salt == keyed[:16], f"{what}: the salt is not the one of its request")
    says = decode(body, what) if request_id else {}
    return Entry(node, epoch, seq, prev, KINDS[kind], answers, request_id, hash_of(payload), says)


def hash_of(data: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(data).digest()


def read_ledger(path: Path) -> Ledger:
    """A whole export: every line, then the chains. Raises Difference, or OSError for no such file."""
    try:
        first, *records = map(json.loads, path.read_text().splitlines())
        expect((first["kind"], first["form"]) == ("ledger", FORM), f"not an export of the form {FORM}")
        ledger = Ledger(path.name, bytes.fromhex(first["node"]))
        for record in records:
            if record["kind"] == "message":
                letter = read_letter(record)
                ledger.letters[letter.hash] = letter
            else:
                entry = read_entry(record)
                ledger.entries[entry.hash] = entry
        check_chains(ledger)
    except Difference as difference:
        raise Difference(f"{path}: {difference}") from None
    except MALFORMED as problem:
        raise Difference(f"{path}: not the export of a ledger ({type(problem).__name__}: {problem})") from None
    return ledger


def check_chains(ledger: Ledger) -> None:
    """The own chain is whole from its first entry; what is held of others' fits together; answers are held."""
    own = [entry for entry in ledger.entries.values() if entry.node == ledger.node]
    expect(bool(own) and own[0].kind == "KEY" and own[0].seq == 0, "the chain does not begin with its KEY entry")
    expect(own[0].prev == bytes(32), "something came before the first entry")
    for before, entry in pairwise(own):
        due = before.seq + 1 if entry.epoch == before.epoch else 0
        expect(entry.seq == due, f"{entry}: entry {due} was due")
        expect(entry.prev == before.hash, f"{entry}: it does not follow the entry before")
    places = {(entry.node, entry.epoch, entry.seq): entry for entry in ledger.entries.values()}
    expect(len(places) == len(ledger.entries), "two entries of one chain have the same place")
    for entry in ledger.entries.values():
        neighbour = places.get((entry.node, entry.epoch, entry.seq - 1))
        expect(neighbour is None or entry.prev == neighbour.hash, f"{entry}: it does not follow the entry before")
        answered = ledger.entries.get(entry.answers) or ledger.letters.get(entry.answers)
        fits = answered is not None and answered.request_id == entry.request_id
        expect(not entry.answers or not entry.request_id or fits, f"{entry}: what it answers is not held")


# --- what it comes to -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Offer:
    """What the provider promised, from the fields that it signed."""

    price_kind: int
    price_steps: list[list[int]]
    fees: list[list[int]]
    tax_permyriad: int
    reference: int
    standby_w: int
    loss_ppm: int
    tolerance_floor_wh: int
    tolerance_ppm: int
    currency: str

    @classmethod
    def read(cls, says: dict[int, Any]) -> "Offer":
        """From the numbered fields; what equals its default was left out."""
        bill = says.get(7, FIXED), says[8], says.get(9, []), says.get(10, 0)
        (standby_w, loss_ppm), (floor_wh, class_ppm) = says[11], says[16]
        return cls(*bill, says.get(5, PROVIDER), standby_w, loss_ppm, floor_wh, class_ppm, says.get(6, "EUR"))


@dataclass(frozen=True)
class Tally:
    """Cumulative energy agreed, for each price step and in all, up to a time."""

    step_wh: tuple[int, ...]
    agreed_wh: int
    at_ms: int


def agree_wh(offer: Offer, provider_wh: int, client_wh: int, elapsed_ms: int) -> int | None:
    """The reference meter's energy when both agree within tolerance after the agreed losses, else None."""
    standby_wh = offer.standby_w * elapsed_ms // 3_600_000
    loss_wh = standby_wh + (provider_wh * offer.loss_ppm + 500_000) // 1_000_000
    allowed_wh = max(offer.tolerance_floor_wh, offer.tolerance_ppm * provider_wh // 1_000_000)
    if abs(client_wh - max(0, provider_wh - loss_wh)) > allowed_wh:
        return None
    return provider_wh if offer.reference == PROVIDER else client_wh


def add(offer: Offer, tally: Tally, end_at_ms: int, agreed_wh: int) -> Tally:
    """One interval more. Tiers split the energy; a time-of-use price is the one in force when the interval began."""
    edges = [edge for edge, _ in offer.price_steps]
    if offer.price_kind == TIERED:
        bounds = [min(edge, agreed_wh) for edge in edges] + [agreed_wh]
        return Tally(tuple(high - low for low, high in pairwise(bounds)), agreed_wh, end_at_ms)
    at = max(0, bisect_right(edges, tally.at_ms // 60_000) - 1) if offer.price_kind == TIME_OF_USE else 0
    new_wh = agreed_wh - tally.agreed_wh
    steps = tuple(wh + (new_wh if index == at else 0) for index, wh in enumerate(tally.step_wh))
    return Tally(steps, agreed_wh, end_at_ms)


def amounts_micro(offer: Offer, tally: Tally) -> list[int]:
    """Each line of the bill in millionths: energy by price step, fees once any energy flowed, tax on them all."""
    priced = zip(tally.step_wh, offer.price_steps, strict=True)
    lines = [(wh * price + 500) // 1_000 for wh, (_, price) in priced]
    lines += [amount if tally.agreed_wh else 0 for _, amount in offer.fees]
    if offer.tax_permyriad:
        lines.append((sum(lines) * offer.tax_permyriad + 5_000) // 10_000)
    return lines


@dataclass
class Meter:
    """The metering of one trade, folded entry by entry."""

    offer: Offer
    intervals: list[Entry] = field(default_factory=list)
    receipts: list[Entry] = field(default_factory=list)
    tallies: list[Tally] = field(default_factory=list)
    undisputed: Tally | None = None
    proposals: dict[bytes, Entry] = field(default_factory=dict)
    resolved: Entry | None = None

    @property
    def wh(self) -> tuple[int, int]:
        """What each side's own meter counted between the opening and the newest receipt."""
        if not self.receipts:
            return 0, 0
        newest = self.intervals[len(self.receipts) - 1]
        return newest.says[3] - self.intervals[0].says[3], self.receipts[-1].says[2] - self.receipts[0].says[2]

    @property
    def total(self) -> tuple[int, int, list[int]]:
        """Receipts that count, energy, amounts."""
        tally = self.undisputed or (self.tallies[-1] if self.tallies else None)
        count = len(self.tallies)
        return (count, tally.agreed_wh, amounts_micro(self.offer, tally)) if tally else (count, 0, [])

    def count(self, entry: Entry) -> None:
        """One entry more. Raises Difference for one that says something else than the entries before it come to."""
        match entry.kind:
            case "INTERVAL":
                self.interval(entry)
            case "RECEIPT":
                self.receipt(entry)
            case "DISPUTE":
                self.dispute(entry)
            case "RESOLVE":
                self.resolve(entry)
            case "CLOSE" | "CLOSED":
                said = tuple(entry.says[key] for key in ((3, 4, 5) if entry.kind == "CLOSE" else (2, 3, 4)))
                expect(said == self.total, f"{entry}: it says {said}, and the receipts come to {self.total}")

    def interval(self, entry: Entry) -> None:
        """The provider's register at the end of an interval."""
        expect(entry.says[1] == len(self.intervals) == len(self.receipts), f"{entry}: out of step")
        if self.intervals:
            expect(entry.says[3] >= self.intervals[-1].says[3], f"{entry}: the register runs backwards")
            expect(entry.says[2] > self.intervals[-1].says[2], f"{entry}: time runs backwards")
        self.intervals.append(entry)

    def receipt(self, entry: Entry) -> None:
        """The client's register, and what it says that the delivery has come to."""
        expect(len(self.intervals) == len(self.receipts) + 1, f"{entry}: out of step")
        interval = self.intervals[-1]
        expect(entry.answers == interval.hash and entry.says[1] == interval.says[1], f"{entry}: of another interval")
        self.receipts.append(entry)
        if len(self.receipts) == 1:
            self.tallies.append(Tally((0,) * len(self.offer.price_steps), 0, interval.says[2]))
            due: tuple[int, list[int]] = (0, [])
        else:
            expect(entry.says[2] >= self.receipts[-2].says[2], f"{entry}: the register runs backwards")
            agreed_wh = agree_wh(self.offer, *self.wh, interval.says[2] - self.intervals[0].says[2])
            expect(agreed_wh is not None, f"{entry}: the meters differ by more than was agreed")
            counted_wh = max(agreed_wh or 0, self.tallies[-1].agreed_wh)
            self.tallies.append(add(self.offer, self.tallies[-1], interval.says[2], counted_wh))
            due = self.total[1:]
        said = entry.says.get(3, 0), entry.says.get(4, [])
        expect(said == due, f"{entry}: it says {said}, and the meters and the offer come to {due}")

    def dispute(self, entry: Entry) -> None:
        """Only the undisputed part of one interval counts, and no less than was receipted before."""
        number, said_wh = entry.says[2], entry.says[5]
        expect(number == len(self.intervals) - 1 and self.undisputed is None, f"{entry}: out of step")
        highest_wh = self.intervals[number].says[3] - self.intervals[0].says[3]
        if number < len(self.tallies):
            highest_wh = min(highest_wh, self.tallies.pop().agreed_wh)
        if self.tallies:
            counted_wh = max(min(said_wh, highest_wh), self.tallies[-1].agreed_wh)
            self.undisputed = add(self.offer, self.tallies[-1], self.intervals[number].says[2], counted_wh)

    def resolve(self, entry: Entry) -> None:
        """Once both have signed the same totals these count; where two agreements crossed, the first proposal's."""
        expect(bool(self.tallies) and self.undisputed is not None, f"{entry}: nothing is disputed")
        tally = add(self.offer, self.tallies[-1], self.intervals[-1].says[2], entry.says[2])
        expect(
            entry.says[3] == amounts_micro(self.offer, tally), f"{entry}: the offer makes other amounts of this energy"
        )
        proposal = self.proposals.get(entry.answers)
        if proposal is not None and proposal.node != entry.node and proposal.says[2] == entry.says[2]:
            self.resolved, self.undisputed = entry, tally
        self.proposals[entry.hash] = entry


@dataclass(frozen=True)
class Trade:
    """One trade as computed again."""

    service: str
    provider: bytes
    client: bytes
    state: str
    meter: Meter


def recompute(ledger: Ledger, request_id: bytes) -> Trade:
    """A trade from one party's export. Raises Difference."""
    entries = ledger.trade(request_id)
    offer, request = parties(ledger, entries[0])
    provider, client = offer.signer, entries[0].node
    meter, state = Meter(Offer.read(offer.says)), "agreed"
    for entry in entries:
        check_writer(ledger, entry, provider, client)
        meter.count(entry)
        state = STATES.get(entry.kind, state)
    return Trade(SERVICES[request.says[2]], provider, client, "resolved" if meter.resolved else state, meter)


def recompute_named(ledger: Ledger, request_id: bytes) -> Trade:
    """As `recompute`, and the Difference names the export."""
    try:
        return recompute(ledger, request_id)
    except Difference as difference:
        raise Difference(f"{ledger.name}: {difference}") from None
    except MALFORMED as problem:
        raise Difference(f"{ledger.name}: a field is missing or wrong ({type(problem).__name__}: {problem})") from None


def parties(ledger: Ledger, accept: Entry) -> tuple[Letter, Letter]:
    """The offer that was accepted and the request that it answers, signed by the two parties."""
    expect(accept.kind == "ACCEPT", f"{accept}: a trade begins with its ACCEPT")
    offer = ledger.letters.get(accept.answers)
    asked = (each for each in ledger.letters.values() if each.kind == "REQUEST")
    request = next((each for each in asked if each.request_id == accept.request_id), None)
    if offer is None or offer.kind != "OFFER" or request is None:
        raise Difference(f"{accept}: the signed request or offer is missing")
    expect(request.signer == accept.node and request.says[1] == offer.signer, f"{accept}: asked by or of somebody else")
    expect(accept.says.get(2, "EUR") == offer.says.get(6, "EUR"), f"{accept}: another currency than the offer's")
    return offer, request


def check_writer(ledger: Ledger, entry: Entry, provider: bytes, client: bytes) -> None:
    """An entry of a trade is of the party that had to write it, names the other one, and answers what it must."""
    writers = {provider} if entry.kind in PROVIDER_WRITES else {client} if entry.kind in CLIENT_WRITES else None
    expect(entry.node in (writers or {provider, client}), f"{entry}: somebody else had to write it")
    expect(entry.says[0] == (client if entry.node == provider else provider), f"{entry}: it names another peer")
    if due := MUST_ANSWER.get(entry.kind):
        answered = ledger.entries.get(entry.answers)
        fits = answered is not None and answered.kind == due and answered.node != entry.node
        expect(fits, f"{entry}: it does not answer the other party's {due}")


# --- both sides -------------------------------------------------------------------------------------------------------


def compare(ledgers: Sequence[Ledger]) -> list[tuple[Trade, int]]:
    """Every trade, with the number of parties whose exports hold it alike. Raises Difference."""
    check_one_history(ledgers)
    by_node = {ledger.node: ledger for ledger in ledgers}
    expect(len(by_node) == len(ledgers), "two exports are of the same node")
    accepts = (entry for ledger in ledgers for entry in ledger.entries.values() if entry.kind == "ACCEPT")
    whole = [each for each in accepts if each.says is not DROPPED]
    return [both_sides(by_node, request_id) for request_id in dict.fromkeys(each.request_id for each in whole)]


def both_sides(by_node: dict[bytes, Ledger], request_id: bytes) -> tuple[Trade, int]:
    """One trade from every export that should hold it."""
    held = [each for each in by_node.values() if each.trade(request_id)]
    holder = next(each for each in held if each.trade(request_id)[0].says is not DROPPED)
    trade = recompute_named(holder, request_id)
    sides = [by_node[node] for node in (trade.provider, trade.client) if node in by_node]
    holders = [each for each in sides if all(entry.says is not DROPPED for entry in each.trade(request_id))]
    expect(holder in holders, f"{holder.name} holds a trade of others")
    histories = [{entry.hash for entry in ledger.trade(request_id)} for ledger in holders]
    names = " and ".join(ledger.name for ledger in holders)
    same = all(history == histories[0] for history in histories)
    expect(same, f"{names} hold different entries of the {trade.service} trade {request_id.hex()[:12]}")
    for ledger in holders:
        recompute_named(ledger, request_id)
    return trade, len(holders)


def check_one_history(ledgers: Iterable[Ledger]) -> None:
    """No node shows two entries in one place."""
    seen: dict[tuple[bytes, bytes, int], bytes] = {}
    for entry in (entry for ledger in ledgers for entry in ledger.entries.values()):
        place = entry.node, entry.epoch, entry.seq
        expect(seen.setdefault(place, entry.hash) == entry.hash, f"{entry}: signed twice with different content")


def show(trades: Iterable[tuple[Trade, int]], names: dict[bytes, str]) -> None:
    """A table for people."""
    row = "{:8}{:16}{:16}{:>9}{:>9}{:>9}{:>17}  {:10}{}"
    print(row.format("service", "provider", "client", "its Wh", "its Wh", "agreed", "amount", "state", "held by"))
    for trade, holders in trades:
        _, agreed_wh, lines = trade.meter.total
        amount = f"{sum(lines) // 1_000_000}.{sum(lines) % 1_000_000:06d} {trade.meter.offer.currency}"
        people = (names.get(node, node.hex()[:12])[:15] for node in (trade.provider, trade.client))
        held = "both" if holders == 2 else "one of these exports"
        print(row.format(trade.service, *people, *trade.meter.wh, agreed_wh, amount, trade.state, held))


def main(arguments: Sequence[str]) -> int:
    """Check the named exports; the exit code."""
    if len(arguments) < 2:
        print("usage: recompute.py LEDGER.jsonl LEDGER.jsonl ...", file=sys.stderr)
        return 2
    try:
        ledgers = [read_ledger(Path(name)) for name in arguments]
        trades = compare(ledgers)
    except (Difference, OSError) as difference:
        print(f"{difference}.", file=sys.stderr)
        return 1
    show(trades, {ledger.node: Path(ledger.name).stem for ledger in ledgers})
    print(f"{len(trades)} trades recomputed from {len(ledgers)} ledgers: everything is as they say.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
