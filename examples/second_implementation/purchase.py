"""What the client says and answers from the Offer to the Closed (docs/protocol.md, A session, step by step).

It holds no connection: items of the provider go in by `hear`, what is to be said waits in `due`.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from examples.second_implementation import messages as m
from examples.second_implementation.bill import Bill, expected_wh
from examples.second_implementation.cable import Cable
from examples.second_implementation.entries import Chain, Entry
from examples.second_implementation.frames import Item, Sealed, Signed
from examples.second_implementation.keys import ProtocolError, need

PRICE_MAX = 1_000_000
AC_OUTLET, V2L = 3, 2
DELIVERING = 3
WITHDRAWN = 77


def electrical() -> dict[int, Any]:
    """A load with a household plug: 230 V, 3.6 kVA, one phase of 50 Hz."""
    return {0: [6], 1: [AC_OUTLET], 2: 207, 3: 253, 4: 3_600, 6: 1, 7: 50_000}


def request(request_id: bytes, provider: bytes, energy_wh: int) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "provider": provider,
        "service": V2L,
        "energy_wh": energy_wh,
        "energy_min_wh": 1,
        "power_max_w": 3_600,
        "window_ms": 3_600_000,
        "price_max_micro_per_kwh": PRICE_MAX,
    }


def check_offer(offer: dict[str, Any], energy_wh: int) -> None:
    """Raise ProtocolError for an offer that must not be accepted, or is not what was asked for."""
    price = max(price for _, price in offer["price_steps"]) * (10_000 + offer["tax_permyriad"]) // 10_000
    need(price <= PRICE_MAX, f"This costs {price} a kWh.")
    need(offer["currency"] == "EUR" and offer["profile"] == AC_OUTLET, "Not our currency, or not our plug.")
    need(offer["energy_wh"] <= energy_wh and offer["power_w"] <= 3_600, "More than was asked for.")


@dataclass(slots=True)
class Purchase:
    """One delivery from one provider."""

    chain: Chain
    provider: bytes
    request_id: bytes
    offer: Signed
    tell: Callable[[str], None]
    cable: Cable | None = None
    held: list[Entry] = field(default_factory=list)
    """The provider's entries of this trade, as they came."""
    due: list[Entry] = field(default_factory=list)
    """Ours that the provider has not answered yet."""
    accept: Entry = field(init=False)
    confirm: Entry | None = None
    plug: dict[str, Any] | None = None
    started: bool = False
    stopped: bool = False
    status: dict[str, Any] | None = None
    bill: Bill | None = None
    receipts: list[Entry] = field(default_factory=list)
    closed: Entry | None = None
    close: Entry | None = None
    received_wh: int = 0
    _open: Entry | None = None
    _nonces: list[bytes] = field(default_factory=list)
    _seq: int = 0

    def __post_init__(self) -> None:
        words = {"peer": self.provider, "at_s": now_s(), "currency": self.offer.values["currency"]}
        self.accept = self.write(m.ACCEPT, self.offer.hash, words)

    @property
    def said(self) -> list[bytes]:
        """Hashes of what we have signed in this session and the provider may answer, the newest last."""
        return [each.hash for each in self.chain.entries[1:]]

    # saying

    def write(self, kind: int, answers: bytes, values: dict[str, Any]) -> Entry:
        entry = self.chain.write(kind, self.request_id, answers, {"peer": self.provider, **values})
        self.due.append(entry)
        return entry

    def control(self, kind: int, **values: Any) -> Sealed:
        self._seq += 1
        return Sealed(kind, {"seq": self._seq, **values})

    def ready(self) -> Sealed:
        self._nonces = [os.urandom(8)]
        return self.control(m.READY, nonce=self._nonces[0])

    def words(self) -> list[Item]:
        """What to say at this moment: entries, the newest Plug, Alive."""
        said: list[Item] = list(self.due[:4])
        through = self.status is not None and self.status["state"] == DELIVERING
        if self.cable is not None and self.cable.step and not self.stopped and not through:
            said.append(self.control(m.PLUG, round=1, step=self.cable.step, pattern=self.cable.pattern))
        number = 0 if self.status is None else self.status["number"]
        return [*said, Sealed(m.ALIVE, {"status_number": number, "received_wh": self.received_wh})]

    # hearing

    def hear(self, items: list[Item]) -> None:
        """Take in a frame's items. Raises ProtocolError for what breaks the agreement."""
        for item in items:
            if isinstance(item, Entry):
                self._hear_entry(item)
            elif item.kind == m.START:
                self.started = self.started or item.values["nonce"] in self._nonces
            elif item.kind == m.PLUG and (self.plug is None or item.values["seq"] > self.plug["seq"]):
                self.plug = item.values
            elif item.kind == m.STATUS and (self.status is None or item.values["number"] > self.status["number"]):
                self.status = item.values
            elif item.kind == m.STOP:
                self._stop(item.values["reason"])

    def _hear_entry(self, entry: Entry) -> None:
        if any(entry.hash == each.hash for each in self.held):
            return
        handlers = {m.CONFIRM: self._confirmed, m.INTERVAL: self._interval, m.CLOSE: self._closing, m.VOID: self._void}
        need(entry.kind in handlers, f"A provider's entry of type {entry.kind} ends this example.")
        handlers[entry.kind](entry)
        self.held.append(entry)

    def _confirmed(self, entry: Entry) -> None:
        need(entry.answers == self.accept.hash, "This confirms something else.")
        self.confirm = entry
        self._acknowledged(self.accept)

    def _void(self, entry: Entry) -> None:
        raise ProtocolError(f"The provider ends the agreement: reason {entry.values['reason']}.")

    def _interval(self, entry: Entry) -> None:
        before = self.receipts[-1] if self.receipts else self.accept
        need(self._open is None and entry.values["number"] == len(self.receipts), "This interval is out of order.")
        need(entry.answers == before.hash, "This interval answers something else.")
        self._acknowledged(before)
        self._open = entry

    def _closing(self, entry: Entry) -> None:
        need(bool(self.receipts), "A Close before anything was delivered.")
        self._stop(entry.values["reason"])
        if entry.values["receipts"] < len(self.receipts):
            return  # it crossed our last Receipt, which is said again: the provider closes anew
        self._acknowledged(self.receipts[-1])
        self.close = entry

    def _stop(self, reason: int) -> None:
        if not self.stopped:
            self.tell(f"The provider ends the delivery: reason {reason}.")
        self.stopped = True

    def _acknowledged(self, entry: Entry) -> None:
        self.due = [each for each in self.due if each is not entry]

    # answering

    def answer_interval(self) -> None:
        """Receipt the open interval, once our path is verified and our meter has a reading at its end."""
        if self._open is None or (not self.receipts and not (self.cable and self.cable.verified(self.plug))):
            return
        number, end_at_ms, theirs = (self._open.values[name] for name in ("number", "end_at_ms", "register_wh"))
        ours = self._our_register(end_at_ms, theirs)
        if ours is None:
            return
        values = {"number": number, "register_wh": ours}
        if self.bill is None:
            self.bill = Bill(self.offer.values, end_at_ms, theirs, ours)
        else:
            counted = self.bill.count(end_at_ms, theirs, ours)
            need(not counted.disputed, "The meters differ by more than was agreed.")
            values |= {"agreed_wh": counted.agreed_wh, "amounts_micro": counted.amounts_micro}
        self.receipts.append(self.write(m.RECEIPT, self._open.hash, values))
        self._open = None

    def _our_register(self, end_at_ms: int, theirs: int) -> int | None:
        """By our own meter, or else what the provider's register less the agreed loss makes of it."""
        if self.cable is not None:
            return self.cable.register_at(end_at_ms)
        if self.bill is None:
            return 0
        return expected_wh(self.offer.values, theirs - self.bill.opening_provider_wh, end_at_ms - self.bill.opening_ms)

    def answer_close(self) -> None:
        """Closed, for a Close whose totals are those of our last Receipt."""
        if self.close is None or self.closed is not None:
            return
        last, said = self.receipts[-1].values, self.close.values
        amounts = last["amounts_micro"] or [0] * len(said["amounts_micro"])
        totals = {"receipts": len(self.receipts), "agreed_wh": last["agreed_wh"], "amounts_micro": amounts}
        need(totals == {name: said[name] for name in totals}, "The provider closes with other totals.")
        self.closed = self.write(m.CLOSED, self.close.hash, {"at_s": now_s(), **totals})


def now_s() -> int:
    return int(time.time())
