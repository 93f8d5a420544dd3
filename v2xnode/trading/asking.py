"""Asking every provider in reach at once, each with a request of its own."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from market.terms import Decline, Offer, Ready, Request
from market.units import Service
from v2xnode.discovery import Heard
from v2xnode.envelope import FrameInvalid, Item, Letter, Plain, Talk, read, sign_letter
from v2xnode.errors import NodeError, PeerError
from v2xnode.events import EventLog
from v2xnode.identity import Identity, short
from v2xnode.links import DialledLink, Links, RawItems

KEY_BYTES = 32
REQUEST_ID_BYTES = 16
MAX_ASKED = 8
"""Providers asked at once: a driver does not compare more."""
COLLECT_S = 5.0
"""Real time for offers to come in: a stranger's set-up on the slowest bearer, with a retransmission."""
LAST_ANSWER_S = 15.0
"""And so much more where nobody has answered yet: then a late answer is better than none."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client wants; energies at the delivery point, see `market.terms.Request`."""

    service: Service
    energy_wh: int
    energy_min_wh: int
    power_max_w: int
    price_max_micro_per_kwh: int
    window_ms: int
    power_min_w: int = 0

    def request_to(self, provider: bytes, request_id: bytes) -> Request:
        """The request that names a provider; the id is 16 fresh random bytes. Raises TermsInvalid."""
        return Request(
            request_id=request_id,
            provider=provider,
            service=self.service,
            energy_wh=self.energy_wh,
            energy_min_wh=self.energy_min_wh,
            power_max_w=self.power_max_w,
            power_min_w=self.power_min_w,
            window_ms=self.window_ms,
            price_max_micro_per_kwh=self.price_max_micro_per_kwh,
        )


@dataclass(slots=True)
class Asked:
    """One provider that answered: the link, our request as said and as signed, and what came back."""

    link: DialledLink
    request: Request
    letter: Letter
    answer: Letter | Plain
    talk: Talk = field(default_factory=Talk)
    ready: Ready | None = None
    """Said with the Accept."""
    rest: RawItems = field(default_factory=list)
    """What came with the Confirm, for the delivery."""

    @property
    def request_id(self) -> bytes:
        return self.request.request_id

    @property
    def letters(self) -> tuple[Letter, ...]:
        """What the Accept rests on."""
        return (self.letter, self.answer) if isinstance(self.answer, Letter) else (self.letter,)


@dataclass(slots=True)
class Asking:
    """The providers that were asked for one need, and what they said. only: agree only with the one whose id begins so.

    answered: by the id of the request that each got.
    """

    wish: Wish
    identity: Identity
    links: Links
    events: EventLog
    only: str = ""
    answered: dict[bytes, Asked] = field(default_factory=dict)

    async def ask_all(self, providers: Sequence[Heard]) -> None:
        """Ask the first `MAX_ASKED` at once. Once one has answered, the others are waited for no longer than
        `COLLECT_S`. Raises TermsInvalid for a wish that can't be said."""
        self.wish.request_to(bytes(KEY_BYTES), bytes(REQUEST_ID_BYTES))  # raises before anybody is asked
        if not providers:
            return
        asking = {asyncio.create_task(self._ask(heard)) for heard in providers[:MAX_ASKED]}
        try:
            _, late = await asyncio.wait(asking, timeout=COLLECT_S)
            if late and not self.answered:
                await asyncio.wait(late, timeout=LAST_ANSWER_S)
        finally:
            for task in asking:
                task.cancel()
            told = await asyncio.gather(*asking, return_exceptions=True)
        for failure in told:
            if isinstance(failure, Exception):
                raise failure

    async def _ask(self, heard: Heard) -> None:
        sent: list[tuple[Request, Letter]] = []

        def opening(peer: bytes) -> Sequence[Item]:
            request = self.wish.request_to(peer, self.identity.entropy(REQUEST_ID_BYTES))
            sent.append((request, sign_letter(self.identity.signer, request)))
            return [sent[0][1]]

        sighting = heard.sighting
        try:
            link, items = await self.links.dial(sighting.bearer, sighting.address, heard.peer or self._named, opening)
            try:
                if not link.peer.hex().startswith(self.only):
                    raise PeerError(f"{short(link.peer)} is not the provider that was asked for.", code="other_peer")
                self._hear_answer(link, *sent[0], items)
            except BaseException:
                await link.aclose()
                raise
        except NodeError as problem:
            self.events.tell("ask_failed", address=sighting.address, code=problem.code, sentence=problem.sentence)

    @property
    def _named(self) -> bytes | None:
        """The provider's key where the owner gave all of it: so one can be dialled that answers known peers only."""
        return bytes.fromhex(self.only) if len(self.only) == 2 * KEY_BYTES else None

    def _hear_answer(self, link: DialledLink, request: Request, letter: Letter, items: RawItems) -> None:
        for raw in items:
            item = read(raw, link.context(self.identity.public, request.request_id))
            if isinstance(item, Letter | Plain) and isinstance(item.message, Offer | Decline):
                asked = Asked(link, request, letter, item)
                asked.talk.say(letter)
                asked.talk.hear(item)
                self.answered[request.request_id] = asked
                return
        raise FrameInvalid("A request is answered with an offer or a refusal.")

    async def leave(self, kept: bytes) -> None:
        """Close the links of all but one request."""
        for request_id, asked in self.answered.items():
            if request_id != kept:
                await asked.link.aclose()
