"""Asking every provider in reach at once, each with a request of its own.

One provider may be heard on several bearers, under identifiers that anybody can repeat. A key that we know is dialled
where it seems to be, a bearer after the other; a stranger wherever it is heard, and whoever turns out to be asked
already is left before anything is said, and asked by its key where that came to nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from market.errors import Reason
from market.terms import Decline, Offer, Ready, Request, Shown
from market.units import Service
from v2xnode.discovery import Heard
from v2xnode.envelope import FrameInvalid, Item, Letter, Plain, Talk, read, sign_letter
from v2xnode.errors import NodeError, PeerError
from v2xnode.events import EventLog
from v2xnode.identity import Identity, short
from v2xnode.links import DialledLink, Links, RawItems
from v2xnode.trading.race import HEAD_START_S, Race
from v2xnode.trading.whereabouts import Place, Whereabouts

KEY_BYTES = 32
REQUEST_ID_BYTES = 16
MAX_ASKED = 8
"""Providers asked at once on each bearer: a driver does not compare more."""
MAX_ALIKE = 3
"""Places tried on one bearer for one known peer, whose identifier anybody can repeat."""
TURN_S = 0.5
"""Real time by which strangers on a cheaper bearer are dialled first: they may be the same ones."""
COLLECT_S = 5.0
"""Real time for offers to come in: a stranger's set-up on the slowest bearer, with a retransmission."""
LAST_ANSWER_S = 15.0
"""And so much more where nobody has answered yet: then a late answer is better than none."""


Vouchers = Callable[[bytes], Awaitable[Sequence[Shown]]]
"""Ours that are good at a provider."""


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
    vouchers: Sequence[Shown] = ()
    """Said before the Accept."""

    @property
    def request_id(self) -> bytes:
        return self.request.request_id

    @property
    def letters(self) -> tuple[Letter, ...]:
        """What the Accept rests on."""
        return (self.letter, self.answer) if isinstance(self.answer, Letter) else (self.letter,)


@dataclass(slots=True)
class _Claim:
    """Where somebody showed a stranger's key first, and is asked. tried: once that has ended, whatever came of it."""

    place: Place
    elsewhere: list[Place] = field(default_factory=list)
    tried: asyncio.Event = field(default_factory=asyncio.Event)


class _AskedElsewhere(PeerError):
    """The peer that a handshake named is being asked at another place."""

    def __init__(self, peer: bytes) -> None:
        super().__init__(f"{short(peer)} is being asked already.", code="asked_elsewhere")
        self.peer = peer


@dataclass(slots=True)
class Asking:
    """The providers that were asked for one need, and what they said. only: agree only with the one whose id begins so.

    answered: by the id of the request that each got.
    """

    wish: Wish
    identity: Identity
    links: Links
    events: EventLog
    whereabouts: Whereabouts
    vouchers: Vouchers
    only: str = ""
    answered: dict[bytes, Asked] = field(default_factory=dict)
    _claims: dict[bytes, _Claim] = field(default_factory=dict)

    async def ask_all(self, providers: Sequence[Heard]) -> None:
        """Ask the first `MAX_ASKED` of each bearer at once. Once one has answered, the others are waited for no longer
        than `COLLECT_S`. Raises TermsInvalid for a wish that can't be said."""
        self.wish.request_to(bytes(KEY_BYTES), bytes(REQUEST_ID_BYTES))  # raises before anybody is asked
        asking = {asyncio.create_task(question) for question in self._questions(providers)}
        if not asking:
            return
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

    def elsewhere(self, peer: bytes) -> Sequence[Place]:
        """Where else somebody showed this peer's key. That proves nothing of the place: a message can be passed on."""
        claim = self._claims.get(peer)
        return () if claim is None else [claim.place, *claim.elsewhere]

    def _questions(self, providers: Sequence[Heard]) -> list[Coroutine[None, None, None]]:
        """One for each key that we know, and one for each place of somebody else."""
        counted: Counter[str] = Counter()
        known: dict[bytes, list[Place]] = {}
        strangers: list[Place] = []
        for heard in providers:
            place, peer = Place(heard.sighting.bearer, heard.sighting.address), heard.peer or self._named
            alike = [each for each in known.get(peer or b"", ()) if each.bearer == place.bearer]
            if (peer is not None and not peer.hex().startswith(self.only)) or len(alike) >= MAX_ALIKE:
                continue
            counted[place.bearer] += not alike
            if counted[place.bearer] > MAX_ASKED:
                continue
            if peer is None:
                strangers.append(place)
            else:
                known.setdefault(peer, []).append(place)
        friends = [self._ask_known(peer, places) for peer, places in known.items()]
        turns = enumerate(self.whereabouts.waves(b"", strangers))
        return [*friends, *(self._ask_stranger(place, turn * TURN_S) for turn, wave in turns for place in wave)]

    @property
    def _named(self) -> bytes | None:
        """The provider's key where the owner gave all of it: so one can be dialled that answers known peers only."""
        return bytes.fromhex(self.only) if len(self.only) == 2 * KEY_BYTES else None

    async def _ask_known(self, peer: bytes, places: Sequence[Place]) -> None:
        waves = self.whereabouts.waves(peer, places)
        await self._keep(
            await Race(_leave).run([[partial(self._ask, place, peer) for place in wave] for wave in waves])
        )

    async def _ask_stranger(self, place: Place, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        try:
            await self._keep(await self._ask(place, None))
        except _AskedElsewhere as named:
            await self._ask_beside(place, named.peer)
        finally:
            for claim in self._claims.values():
                if claim.place == place:
                    claim.tried.set()

    async def _ask_beside(self, place: Place, peer: bytes) -> None:
        """The peer is being asked where it was named first. That has a head start and no more: whoever shows a key need
        not have it, and must not hide the one who does."""
        claim = self._claims[peer]
        claim.elsewhere.append(place)
        with suppress(TimeoutError):
            async with asyncio.timeout(HEAD_START_S):
                await claim.tried.wait()
        if not self._has_answered(peer):
            await self._keep(await self._ask(place, peer))

    def _has_answered(self, peer: bytes) -> bool:
        return any(asked.link.peer == peer for asked in self.answered.values())

    async def _keep(self, asked: Asked | None) -> None:
        """One answer of each peer."""
        if asked is None:
            return
        if self._has_answered(asked.link.peer):
            await _leave(asked)
        else:
            self.answered[asked.request_id] = asked

    async def _ask(self, place: Place, remote: bytes | None) -> Asked | None:
        """The answer of the provider at a place; None where there is none, told to the owner. Raises _AskedElsewhere
        for a stranger that is being asked already."""
        sent: list[tuple[Request, Letter]] = []

        def opening(peer: bytes) -> Sequence[Item]:
            if remote is None:
                self._claim(peer, place)
            request = self.wish.request_to(peer, self.identity.entropy(REQUEST_ID_BYTES))
            sent.append((request, sign_letter(self.identity.signer, request)))
            return [sent[-1][1]]

        try:
            link, items = await self.links.dial(place.bearer, place.address, remote, opening)
            try:
                return await self._with_vouchers(self._hear_answer(link, *sent[-1], items))
            except BaseException:
                await link.aclose()
                raise
        except _AskedElsewhere:
            raise
        except NodeError as problem:
            self.events.tell("ask_failed", address=place.address, code=problem.code, sentence=problem.sentence)
            return None

    async def _with_vouchers(self, asked: Asked) -> Asked:
        """What we have that is good there goes with the Accept, or with another request where we owe too much."""
        shown = await self.vouchers(asked.link.peer)
        if not shown or not isinstance(asked.answer.message, Decline):
            asked.vouchers = shown
            return asked
        if asked.answer.message.reason is not Reason.CREDIT_LIMIT:
            return asked
        request = self.wish.request_to(asked.link.peer, self.identity.entropy(REQUEST_ID_BYTES))
        letter = sign_letter(self.identity.signer, request)
        return self._hear_answer(asked.link, request, letter, await asked.link.ask([*map(Plain, shown), letter]))

    def _claim(self, peer: bytes, place: Place) -> None:
        """Somebody showed a stranger's key, and was told nothing yet. Raises PeerError: we want nothing of it here."""
        if not peer.hex().startswith(self.only):
            raise PeerError(f"{short(peer)} is not the provider that was asked for.", code="other_peer")
        if peer in self._claims or self._has_answered(peer):
            self._claims.setdefault(peer, _Claim(place))
            raise _AskedElsewhere(peer)
        self._claims[peer] = _Claim(place)

    def _hear_answer(self, link: DialledLink, request: Request, letter: Letter, items: RawItems) -> Asked:
        for raw in items:
            item = read(raw, link.context(self.identity.public, request.request_id))
            if isinstance(item, Letter | Plain) and isinstance(item.message, Offer | Decline):
                asked = Asked(link, request, letter, item)
                asked.talk.say(letter)
                asked.talk.hear(item)
                return asked
        raise FrameInvalid("A request is answered with an offer or a refusal.")

    async def leave(self, kept: bytes) -> None:
        """Close the links of all but one request."""
        for request_id, asked in self.answered.items():
            if request_id != kept:
                await asked.link.aclose()


async def _leave(asked: Asked) -> None:
    await asked.link.aclose()
