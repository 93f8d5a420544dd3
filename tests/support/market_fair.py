"""A small fair: one client and a few providers whose negotiation machines talk over a bad channel, in simulated time.

The drivers do what real ones do: an entry is recorded before it is sent, kept, and said again until it is answered;
what stood behind an entry that could not be appended is left undone. Each side has a clock of its own, which began at
another moment and runs faster or slower. A decision takes a while. What was confirmed and not begun in time is void.
"""

import hashlib
import heapq
import itertools
import random
from dataclasses import dataclass, field
from functools import partial
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
HEALED_MS = 60_000
"""From here on nothing is lost and every ledger works."""
START_BY_MS = 180_000
FULL = 1000
"""Thousandths, in which chances are given."""


@dataclass(frozen=True, slots=True)
class Clock:
    """A monotonic clock: where it stood when the fair began, and its pace in thousandths."""

    began_ms: int = 0
    pace: int = FULL

    def at(self, now_ms: int) -> int:
        return self.began_ms + now_ms * self.pace // FULL

    def when(self, at_ms: int) -> int:
        """The fair's time at which this clock shows at least `at_ms`."""
        return -((self.began_ms - at_ms) * FULL // self.pace)


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
    clock: Clock
    live: bytes = b""
    """Hash of the newest offer."""
    held: dict[bytes, Said] = field(default_factory=dict)
    replies: dict[bytes, list[Said]] = field(default_factory=dict)
    locked: set[bytes] = field(default_factory=set)
    newest: list[Said] = field(default_factory=list)
    answers: dict[bytes, int] = field(default_factory=dict)
    """Confirms and Rejects to each Accept."""
    voided: bool = False
    confirmed: bool = False
    lapsed: bool = False
    """Nobody began what was confirmed, so start_by ended it."""


class Fair:
    """`run` plays it to its end; the laws look at what both sides hold then."""

    def __init__(
        self, seed: int, sellers: int, *, loss: int, repeat: int, fails: int, withdraws_ms: int | None,
        seller_withdraws_ms: int | None = None,
    ) -> None:  # fmt: skip
        self.chance = random.Random(seed)
        self.loss, self.repeat, self.fails = loss, repeat, fails
        self.now_ms = 0
        self._numbers = itertools.count()
        self._queue: list[tuple[int, int, Any]] = []
        self.requests = [
            request(request_id=bytes([65 + number]) * 16, provider=bytes([97 + number]) * 32)
            for number in range(sellers)
        ]
        self.sellers = {each.request_id: self._seller(each, number) for number, each in enumerate(self.requests)}
        self.clock = self._clock()
        self.client = ClientNegotiation(self.requests, self._rank, now_ms=self.clock.at(0), haggle=self._haggle)
        self.written: dict[bytes, list[Said]] = {each.request_id: [] for each in self.requests}
        self.heard: dict[bytes, list[Message]] = {each.request_id: [] for each in self.requests}
        self.outcomes: list[Agreed | GaveUp] = []
        self.unwritten: set[bytes] = set()
        """Requests whose Void the client's ledger refused, the second time too."""
        self.dead_offers_confirmed = 0
        self.last_change_ms = 0
        """When a machine last changed its state."""
        self._accepted: tuple[bytes, Append] | None = None
        """The client's Accept that is not answered nor voided."""
        self._open: dict[bytes, tuple[bytes, Said]] = {}
        for each in self.requests:
            self._post(each.request_id, Said(each, self._digest(each)))
        if withdraws_ms is not None:
            self._at(withdraws_ms, self._withdraw)
        if seller_withdraws_ms is not None:
            first = self.requests[0].request_id
            self._at(seller_withdraws_ms, lambda: self._seller_withdraws(first))

    def _seller(self, asked: Request, number: int) -> Seller:
        clock = self._clock()
        machine = ProviderNegotiation(asked, CLIENT, now_ms=clock.at(0))
        return Seller(machine, 200_000 + 10_000 * number, clock)

    def _clock(self) -> Clock:
        return Clock(self.chance.choice([0, 10**6, 10**12]), self.chance.choice([900, FULL, 1_100]))

    # the channel

    def _at(self, at_ms: int, doing: Any) -> None:
        heapq.heappush(self._queue, (at_ms, next(self._numbers), doing))

    def _happens(self, chance: int) -> bool:
        return self.now_ms < HEALED_MS and self.chance.randrange(FULL) < chance

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

    def _handle(self, machine: Any, event: object, clock: Clock) -> Any:
        before = machine.state
        effects = machine.handle(event, clock.at(self.now_ms))
        if machine.state is not before:
            self.last_change_ms = self.now_ms
        return effects

    def _feed_client(self, event: object) -> None:
        for effect in self._handle(self.client, event, self.clock):
            if isinstance(effect, Agreed | GaveUp):
                self.outcomes.append(effect)
                self._take_back()
            elif not self._client_does(effect.request_id, effect.step):
                break
        self._wake(self.clock, self.client, lambda: self._feed_client(Tick()))

    def _withdraw(self) -> None:
        """After the agreement a change of mind is the delivery's."""
        if self.client.state is not ClientStage.AGREED:
            self._feed_client(Withdrawal())

    def _take_back(self) -> None:
        """Whoever gave up tries once more to void what was accepted and is not answered."""
        if self._accepted is None:
            return
        (request_id, accept), self._accepted = self._accepted, None
        if self._happens(self.fails):
            self.unwritten.add(request_id)
            return
        void = Void(accept.message.peer, 0, Reason.WITHDRAWN)
        self._write(request_id, Append(void, accept.answers))

    @property
    def _accepted_at(self) -> bytes:
        return self._accepted[0] if self._accepted else b""

    def _client_does(self, request_id: bytes, step: object) -> bool:
        """Whether it could be done; else what stood behind it is left undone."""
        if isinstance(step, Append):
            if self._happens(self.fails):
                self._feed_client(LedgerFailed())
                return False
            self._accepted = (request_id, step) if isinstance(step.message, Accept) else None
            said = self._write(request_id, step)
        elif isinstance(step, Sign):
            said = Said(step.message, self._digest(step.message))
            self._post(request_id, said)
        else:
            return True
        self._feed_client(InSession(request_id, Recorded(step.message, said.digest)))
        return True

    def _write(self, request_id: bytes, step: Append) -> Said:
        said = Said(step.message, self._digest(step.message), step.answers)
        self.written[request_id].append(said)
        self._post(request_id, said)
        return said

    def _client_hears(self, request_id: bytes, asked: bytes, said: list[Said]) -> None:
        """An answer; what was asked needs no repetition any more."""
        if self._open.get(request_id, (b"",))[0] == asked:
            del self._open[request_id]
        for each in said:
            if isinstance(each.message, Confirm | Reject | Void) and self._accepted_at == request_id:
                self._accepted = None
            self.heard[request_id].append(each.message)
            self._feed_client(InSession(request_id, Received(each.message, each.digest, each.answers)))

    # the providers

    def _sell(self, request_id: bytes, said: Said) -> None:
        """A provider hears something, and answers it. An Accept waits for its decision."""
        seller = self.sellers[request_id]
        seller.held.setdefault(said.digest, said)
        before = len(seller.newest)
        if isinstance(said.message, Void):
            seller.voided = True
        if isinstance(said.message, Void) and seller.confirmed:
            seller.locked.discard(request_id)
        elif isinstance(said.message, Request) and before == 0:
            ttl_ms = self.chance.choice([3_000, 60_000])
            answer = offer(request_id=request_id, price_steps=_price(seller.price), ttl_ms=ttl_ms)
            self._feed_seller(request_id, Decision(answer), b"")
        else:
            self._feed_seller(request_id, Received(said.message, said.digest, said.answers), said.digest)
        answers = seller.newest[before:] or seller.replies.get(said.digest, [])
        if not answers and isinstance(said.message, Accept):
            return
        seller.replies.setdefault(said.digest, answers)
        self._carry(lambda: self._client_hears(request_id, said.digest, answers))

    def _seller_withdraws(self, request_id: bytes) -> None:
        """At any moment before there is an agreement; after it, it is the delivery's."""
        seller = self.sellers[request_id]
        if not seller.confirmed:
            self._feed_seller(request_id, Withdrawal(), b"")

    def _feed_seller(self, request_id: bytes, event: object, asked: bytes) -> None:
        seller = self.sellers[request_id]
        for effect in self._handle(seller.machine, event, seller.clock):
            match effect:
                case Sign(message):
                    said = Said(message, self._digest(message))
                    seller.live = said.digest
                    seller.newest.append(said)
                    self._feed_seller(request_id, Recorded(message, said.digest), asked)
                case Tell(message):
                    seller.newest.append(Said(message, b""))
                case Ask(counter):
                    self._feed_seller(request_id, Decision(self._counter_offer(request_id, counter)), asked)
                case Decide(_, accept):
                    wait_ms = self.chance.choice([0, 300])
                    self._at(self.now_ms + wait_ms, partial(self._decide, request_id, accept))
                case Append(message, answers):
                    if isinstance(message, Reject):
                        seller.answers[answers] = seller.answers.get(answers, 0) + 1
                    seller.voided |= isinstance(message, Void)
                    seller.newest.append(Said(message, self._digest(message), answers))
                case Repeat():
                    seller.newest += seller.replies.get(asked, [])
                case Confirmed():
                    seller.confirmed = True
                    self._at(self.now_ms + START_BY_MS, partial(self._start_by, request_id))
                case Ended():
                    seller.locked.discard(request_id)
        self._wake(seller.clock, seller.machine, lambda: self._feed_seller(request_id, Tick(), b""))

    def _counter_offer(self, request_id: bytes, counter: Counter) -> Offer | Decline:
        if self.chance.random() < 0.3:
            return Decline(request_id, Reason.PRICE_TOO_LOW)
        return offer(request_id=request_id, number=counter.number, price_steps=_price(counter.price_max_micro_per_kwh))

    def _decide(self, request_id: bytes, accept: bytes) -> None:
        seller = self.sellers[request_id]
        if self._happens(self.fails):
            self._feed_seller(request_id, LedgerFailed(), accept)
            return
        free = not seller.locked and self.chance.random() < 0.8
        answer: Confirm | Reject = Confirm(CLIENT, 0) if free else Reject(CLIENT, 0, Reason.BUSY)
        if free:
            seller.locked.add(request_id)
            self.dead_offers_confirmed += seller.held[accept].answers != seller.live
        seller.answers[accept] = seller.answers.get(accept, 0) + 1
        before = len(seller.newest)
        said = Said(answer, self._digest(answer), accept)
        seller.newest.append(said)
        self._feed_seller(request_id, Decided(answer, said.digest), accept)
        seller.replies[accept] = seller.newest[before:]

    def _start_by(self, request_id: bytes) -> None:
        seller = self.sellers[request_id]
        begun = any(isinstance(each, Agreed) and each.request_id == request_id for each in self.outcomes)
        if not begun and not seller.voided:
            seller.voided = seller.lapsed = True
            seller.locked.discard(request_id)

    # time

    def _wake(self, clock: Clock, machine: Any, doing: Any) -> None:
        deadline_ms = machine.deadline_ms()
        if deadline_ms is not None:
            self._at(max(self.now_ms, clock.when(deadline_ms)), doing)

    def run(self) -> None:
        self._wake(self.clock, self.client, lambda: self._feed_client(Tick()))
        while self._queue and self._queue[0][0] <= LONGEST_MS:
            self.now_ms, _, doing = heapq.heappop(self._queue)
            doing()

    def accepted(self, request_id: bytes) -> list[Said]:
        return [each for each in self.written[request_id] if isinstance(each.message, Accept)]


def _price(micro_per_kwh: int) -> Any:
    return (PriceStep(0, micro_per_kwh),)
