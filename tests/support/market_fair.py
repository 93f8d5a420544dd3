"""A small fair: one client and a few providers whose negotiation machines talk over a bad channel, in simulated time.

The drivers do what real ones do: an entry is recorded before it is sent, kept, and said again until it is answered.
Each provider has energy for one agreement at a time, however many needs ask for it.
"""

import hashlib
import heapq
import itertools
import random
from dataclasses import dataclass, field
from typing import Any

from market.errors import Reason
from market.machine import Append, LedgerFailed, Received, Recorded, Repeat, Sign, Tell, Tick
from market.negotiation import (
    Agreed,
    Ask,
    ClientNegotiation,
    ClientStage,
    Confirmed,
    Decide,
    Decided,
    Decision,
    Ended,
    GaveUp,
    InSession,
    ProviderNegotiation,
    Withdrawal,
)
from market.terms import Accept, Confirm, Counter, Decline, Message, Offer, PriceStep, Reject, Request, Void
from tests.support.market_terms import CLIENT, offer, request

AGAIN_MS = 900
LONGEST_MS = 300_000
FULL = 1000
"""Thousandths, in which chances are given."""


@dataclass(frozen=True, slots=True)
class Said:
    """What crosses the channel."""

    message: Message
    digest: bytes
    answers: bytes = b""


@dataclass(slots=True)
class Seller:
    """One provider's side: its machine, what it holds, its one piece of energy."""

    machine: ProviderNegotiation
    price: int
    held: dict[bytes, Said] = field(default_factory=dict)
    replies: dict[bytes, list[Said]] = field(default_factory=dict)
    locked: set[bytes] = field(default_factory=set)
    newest: list[Said] = field(default_factory=list)
    answers: dict[bytes, int] = field(default_factory=dict)
    """Confirms and Rejects to each Accept."""
    voided: bool = False
    confirmed: bool = False


class Fair:
    """`run` plays it to its end; the laws look at what both sides hold then."""

    def __init__(
        self, seed: int, sellers: int, *, loss: int, repeat: int, fails: int, withdraws_ms: int | None
    ) -> None:
        self.chance = random.Random(seed)
        self.loss, self.repeat, self.fails = loss, repeat, fails
        self.now_ms, self.healed_ms = 0, 60_000
        self._numbers = itertools.count()
        self._queue: list[tuple[int, int, Any]] = []
        self.requests = [
            request(request_id=bytes([65 + number]) * 16, provider=bytes([97 + number]) * 32)
            for number in range(sellers)
        ]
        self.sellers = {
            each.request_id: Seller(ProviderNegotiation(each, CLIENT, now_ms=0), 200_000 + 10_000 * number)
            for number, each in enumerate(self.requests)
        }
        self.client = ClientNegotiation(self.requests, self._rank, now_ms=0, haggle=self._haggle)
        self.written: dict[bytes, list[Said]] = {each.request_id: [] for each in self.requests}
        self.heard: dict[bytes, list[Message]] = {each.request_id: [] for each in self.requests}
        self.outcomes: list[Agreed | GaveUp] = []
        self._open: dict[bytes, tuple[bytes, Said]] = {}
        for each in self.requests:
            self._post(each.request_id, Said(each, self._digest(each)))
        if withdraws_ms is not None:
            self._at(withdraws_ms, self._withdraw)

    # the channel

    def _at(self, at_ms: int, doing: Any) -> None:
        heapq.heappush(self._queue, (at_ms, next(self._numbers), doing))

    def _happens(self, chance: int) -> bool:
        return self.now_ms < self.healed_ms and self.chance.randrange(FULL) < chance

    def _carry(self, doing: Any) -> None:
        for _ in range(2 if self._happens(self.repeat) else 1):
            if not self._happens(self.loss):
                self._at(self.now_ms + self.chance.randint(5, 2_500), doing)

    def _digest(self, message: Message) -> bytes:
        return hashlib.sha256(repr(message).encode() + str(next(self._numbers)).encode()).digest()

    # the client

    def _rank(self, offers: Any) -> list[bytes]:
        cheapest = sorted(offers, key=lambda each: each[1].price_steps[0].price_micro_per_kwh)
        return [request_id for request_id, _ in cheapest]

    def _haggle(self, offered: Offer, number: int) -> Counter | None:
        if number > 1 or self.chance.random() < 0.5:
            return None
        price = offered.price_steps[0].price_micro_per_kwh - 1_000
        return Counter(offered.request_id, number, price, offered.energy_wh)

    def _post(self, request_id: bytes, said: Said) -> None:
        """Say it, and again until something answers it."""
        self._open[request_id] = (said.digest, said)
        self._repeat(request_id, said)

    def _repeat(self, request_id: bytes, said: Said) -> None:
        if self._open.get(request_id, (b"",))[0] != said.digest or self.now_ms > LONGEST_MS:
            return
        self._carry(lambda: self._sell(request_id, said))
        self._at(self.now_ms + AGAIN_MS, lambda: self._repeat(request_id, said))

    def _feed_client(self, event: object) -> None:
        for effect in self.client.handle(event, self.now_ms):
            if isinstance(effect, Agreed | GaveUp):
                self.outcomes.append(effect)
                continue
            self._client_does(effect.request_id, effect.step)
        self._wake(self.client, lambda: self._feed_client(Tick()))

    def _withdraw(self) -> None:
        """After the agreement a change of mind is the delivery's."""
        if self.client.state is not ClientStage.AGREED:
            self._feed_client(Withdrawal())

    def _client_does(self, request_id: bytes, step: object) -> None:
        if not isinstance(step, Append | Sign):
            return
        is_void = isinstance(step, Append) and isinstance(step.message, Void)
        if not is_void and self._happens(self.fails):  # a Void that can't be written is left to start_by
            recorded = InSession(request_id, Recorded(step.message, b""))
            self._feed_client(LedgerFailed() if isinstance(step, Append) else recorded)
            return
        said = Said(step.message, self._digest(step.message), step.answers if isinstance(step, Append) else b"")
        if isinstance(step, Append):
            self.written[request_id].append(said)
        self._feed_client(InSession(request_id, Recorded(step.message, said.digest)))
        self._post(request_id, said)

    def _client_hears(self, request_id: bytes, asked: bytes, said: list[Said]) -> None:
        """An answer; what was asked needs no repetition any more."""
        if self._open.get(request_id, (b"",))[0] == asked:
            del self._open[request_id]
        for each in said:
            self.heard[request_id].append(each.message)
            self._feed_client(InSession(request_id, Received(each.message, each.digest, each.answers)))

    # the providers

    def _sell(self, request_id: bytes, said: Said) -> None:
        """A provider hears something, and answers it."""
        seller = self.sellers[request_id]
        seller.held.setdefault(said.digest, said)
        before = len(seller.newest)
        if isinstance(said.message, Void) and seller.confirmed:
            seller.voided = True
            seller.locked.discard(request_id)
        elif isinstance(said.message, Request) and before == 0:
            ttl_ms = self.chance.choice([3_000, 60_000])
            answer = offer(request_id=request_id, price_steps=_price(seller.price), ttl_ms=ttl_ms)
            self._feed_seller(request_id, Decision(answer), b"")
        else:
            self._feed_seller(request_id, Received(said.message, said.digest, said.answers), said.digest)
        answers = seller.newest[before:] or seller.replies.get(said.digest, [])
        seller.replies.setdefault(said.digest, answers)
        self._carry(lambda: self._client_hears(request_id, said.digest, answers))

    def _feed_seller(self, request_id: bytes, event: object, asked: bytes) -> None:
        seller = self.sellers[request_id]
        for effect in seller.machine.handle(event, self.now_ms):
            match effect:
                case Sign(message):
                    said = Said(message, self._digest(message))
                    seller.newest.append(said)
                    self._feed_seller(request_id, Recorded(message, said.digest), asked)
                case Tell(message):
                    seller.newest.append(Said(message, b""))
                case Ask(counter):
                    self._feed_seller(request_id, Decision(self._counter_offer(request_id, counter)), asked)
                case Decide(offered, accept):
                    self._decide(request_id, offered, accept)
                case Append(message, answers):
                    if isinstance(message, Reject):
                        seller.answers[answers] = seller.answers.get(answers, 0) + 1
                    seller.newest.append(Said(message, self._digest(message), answers))
                case Repeat():
                    seller.newest += seller.replies.get(asked, [])
                case Confirmed():
                    seller.confirmed = True
                case Ended():
                    seller.locked.discard(request_id)
        self._wake(seller.machine, lambda: self._feed_seller(request_id, Tick(), b""))

    def _counter_offer(self, request_id: bytes, counter: Counter) -> Offer | Decline:
        if self.chance.random() < 0.3:
            return Decline(request_id, Reason.PRICE_TOO_LOW)
        return offer(request_id=request_id, number=counter.number, price_steps=_price(counter.price_max_micro_per_kwh))

    def _decide(self, request_id: bytes, _: Offer, accept: bytes) -> None:
        seller = self.sellers[request_id]
        if self._happens(self.fails):
            self._feed_seller(request_id, LedgerFailed(), accept)
            return
        free = not seller.locked and self.chance.random() < 0.8
        answer: Confirm | Reject = Confirm(CLIENT, 0) if free else Reject(CLIENT, 0, Reason.BUSY)
        if free:
            seller.locked.add(request_id)
        seller.answers[accept] = seller.answers.get(accept, 0) + 1
        said = Said(answer, self._digest(answer), accept)
        seller.newest.append(said)
        self._feed_seller(request_id, Decided(answer, said.digest), accept)

    # time

    def _wake(self, machine: Any, doing: Any) -> None:
        deadline_ms = machine.deadline_ms()
        if deadline_ms is not None:
            self._at(max(self.now_ms, deadline_ms), doing)

    def run(self) -> None:
        self._wake(self.client, lambda: self._feed_client(Tick()))
        while self._queue and self._queue[0][0] <= LONGEST_MS:
            self.now_ms, _, doing = heapq.heappop(self._queue)
            doing()

    def accepted(self, request_id: bytes) -> list[Said]:
        return [each for each in self.written[request_id] if isinstance(each.message, Accept)]


def _price(micro_per_kwh: int) -> Any:
    return (PriceStep(0, micro_per_kwh),)
