"""The owner's side of trading: battery, locks, sales and debts of the moment, put to the policy; its answer told.

The policy itself is `market.policy`. A decision about an Accept runs inside the ledger's commit, on what the ledger
holds at that moment, so that the same Wh are never confirmed twice.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from ledger.store.view import Lock, View
from ledger.witnessing.forks import is_forked
from market.errors import Reason, Refusal
from market.policy import (
    BatteryFacts,
    Case,
    Commitments,
    OwnerPolicy,
    Running,
    Window,
    confirmable,
    countered,
    decide,
    decline,
    is_tellworthy,
    lock_for,
    recheck_running,
)
from market.pricing import highest_cost_micro
from market.terms import Confirm, Counter, Decline, Electrical, Offer, Reject, Request, acceptable
from market.units import MS_PER_DAY, MS_PER_SECOND, Role, ServiceBits, energy_at_power_wh
from v2xnode.clock import Clock, trusted
from v2xnode.config import Config
from v2xnode.devices.errors import DeviceError
from v2xnode.devices.interface import BatteryState
from v2xnode.errors import LocalError
from v2xnode.events import EventLog
from v2xnode.identity import short
from v2xnode.paths import Connectors
from v2xnode.settling.accounts import owed_by_all
from v2xnode.settling.issuers import issuer_keys
from v2xnode.settling.trades import trades
from v2xnode.settling.vouchers import credit_micro
from v2xnode.trading.acquaintances import Acquaintances
from v2xnode.trading.books import Books, Verdict
from v2xnode.trading.delivering import Delivering
from v2xnode.trading.limits import owner_policy, site_zone
from v2xnode.trading.welcome import Welcome

AHEAD_MS = 2_500
"""World time in which power still flows after a limit is reached: one look of the watch, and the orderly way off."""
MAX_UNSEEN = 5
"""Looks in a row without an answer of the battery's manager, after which the reserve can't be said to be kept."""
ENDING_MS = 30_000
"""What a session that is late to end may still need of its connector."""
MAX_SALES = 10_000
"""Sales remembered for the daily cap: far more than a connector can deliver in a day."""

BATTERY, DELIVERED, CONNECTOR, DEBT = "battery_wh", "delivered_wh", "connector:", "debt:"


def debt_lock(peer: bytes) -> str:
    """Name of the lock that holds what a peer's confirmed sessions may still come to owe."""
    return DEBT + peer.hex()[:32]


@dataclass(frozen=True, slots=True)
class Asker:
    """The peer that asks: its key, and what its Hello said."""

    peer: bytes
    electrical: Electrical
    currency: str


@dataclass(slots=True)
class Owner:
    """One owner's limits and what they are held against."""

    config: Config
    clock: Clock
    events: EventLog
    books: Books
    connectors: Connectors
    acquaintances: Acquaintances
    in_use: Callable[[], frozenset[bytes]] = frozenset
    """Request ids of the sessions that have begun, and hold their connector until they are over."""
    policy: OwnerPolicy = field(init=False)
    _welcome: Welcome = field(init=False)
    _electrical: Electrical = field(init=False)
    _sales: list[tuple[int, int]] = field(default_factory=list)
    _battery: BatteryFacts | None = None
    _unseen: int = 0
    """Looks in a row at which the battery's manager did not answer."""

    def __post_init__(self) -> None:
        self.policy = owner_policy(self.config)
        self._welcome = Welcome(self.books)
        self._electrical = self.config.electrical.record()

    async def load(self) -> None:
        """Remember whom the owner has let in, and what was sold before, for the daily cap."""
        await self._welcome.load()
        self._let_in()
        found = await self.books.run(lambda transaction: trades(transaction))
        self._sales = [
            (each.settled_at_ms, each.agreed_wh) for each in found if each.role is Role.PROVIDER and each.agreed_wh
        ][-MAX_SALES:]

    @property
    def provides(self) -> ServiceBits:
        """What is sold at this moment."""
        return self.policy.services

    async def allow(self, name: str) -> bytes:
        """The owner says yes to a stranger; in force at once. Raises UsageError for a name that is nobody's."""
        peer = await self._welcome.allow(name)
        self._let_in()
        self.events.tell("allowed", peer=short(peer))
        return peer

    def _let_in(self) -> None:
        welcome = self._welcome.keys - self.policy.block
        self.policy = replace(self.policy, allow=self.policy.allow | welcome)

    def lists(self, peer: bytes) -> bool:
        """Whether a peer is on the owner's list."""
        return peer in self.policy.allow

    def sold(self, energy_wh: int) -> None:
        """Count a sale for the daily cap."""
        self._sales = [*self._sales[-MAX_SALES + 1 :], (self.clock.wall_ms(), energy_wh)]

    # requests

    async def quote(self, request: Request, counter: Counter | None, asker: Asker) -> Offer | Decline:
        """The policy's answer to a request or a counter; a refusal is told to the owner with the limit that refused."""
        try:
            self.connectors.record_as(Role.PROVIDER, self._electrical)
            await self._look_at_battery()
        except (LocalError, DeviceError) as problem:
            self.events.tell("device_failed", request.request_id, code=problem.code, sentence=str(problem))
            return Decline(request_id=request.request_id, reason=Reason.NOT_OFFERED)
        asked = request if counter is None else countered(request, counter)
        number = 0 if counter is None else counter.number
        case = await self.books.run(lambda view: self._case(view, asked, asker, number))
        answer = decide(case)
        if isinstance(answer, Refusal):
            self.tell_refusal(request.request_id, asker.peer, answer)
            return decline(request.request_id, answer, self.policy)
        if is_tellworthy(answer, self.policy):
            self.events.tell("low_price", request.request_id, peer=short(asker.peer))
        return answer

    def recheck(self, view: View, request: Request, offer: Offer, asker: Asker) -> Verdict:
        """Confirm with its locks, or Reject; for the commit. The battery is as at the last quote or look."""
        case, peer = self._case(view, request, asker, offer.number), asker.peer
        lock = confirmable(case, offer) or lock_for(case, offer)
        if isinstance(lock, Refusal):
            said = decline(request.request_id, lock, self.policy)
            reject = Reject(peer=peer, at_s=0, reason=said.reason, acceptable=acceptable(said.would_pass))
            return Verdict(reject, refusal=lock)
        start_ms, end_ms = lock.window.start_at_ms, lock.window.end_at_ms
        held = {
            BATTERY: lock.battery_wh,
            DELIVERED: lock.energy_wh,
            CONNECTOR + offer.profile.name.lower(): 1,
            debt_lock(peer): highest_cost_micro(offer, lock.energy_wh),
        }
        locks = tuple(Lock(request.request_id, name, quantity, start_ms, end_ms) for name, quantity in held.items())
        return Verdict(Confirm(peer=peer, at_s=0), locks)

    def _case(self, view: View, request: Request, asker: Asker, number: int) -> Case:
        now_ms = self.clock.wall_ms()
        return Case(
            request=request,
            client_key=asker.peer,
            provider=self.connectors.record_as(Role.PROVIDER, self._electrical),
            client=asker.electrical,
            policy=self.policy,
            battery=self._battery,
            commitments=self._commitments(view, request.request_id, asker.peer, now_ms),
            now_ms=max(0, now_ms),
            clock_trusted=trusted(now_ms),
            client_currency=asker.currency,
            number=number,
            status_period_ms=self.config.node.status_period_ms,
        )

    def _commitments(self, view: View, request_id: bytes, peer: bytes, now_ms: int) -> Commitments:
        locks = [lock for lock in view.locks() if lock.request_id != request_id]
        owed = owed_by_all(view, self.config.node.currency)
        debts = {lock.resource: 0 for lock in locks if lock.resource.startswith(DEBT)}
        for lock in locks:
            if lock.resource in debts:
                debts[lock.resource] += lock.quantity
        in_use, issuers = self.in_use(), issuer_keys(view)
        known = {debt_lock(each) for each in (*self.policy.allow, *self.acquaintances.keys)}
        return Commitments(
            locked_wh=_held(locks, BATTERY),
            promised_wh=_held(locks, DELIVERED),
            windows=tuple(
                _window(lock, now_ms if lock.request_id in in_use else None)
                for lock in locks
                if lock.resource.startswith(CONNECTOR)
            ),
            delivered_today_wh=self._sold_today_wh(now_ms),
            peer_debt_micro=owed.get(peer, 0) + debts.get(debt_lock(peer), 0),
            strangers_debt_micro=sum(micro for each, micro in owed.items() if not self._is_known(each, issuers))
            + sum(micro for name, micro in debts.items() if name not in known),
            vouched_micro=credit_micro(view, peer, self.config.node.currency, max(0, now_ms) // MS_PER_SECOND),
            peer_known=self._is_known(peer),
            peer_forked=is_forked(view, peer),
        )

    def _is_known(self, peer: bytes, issuers: Collection[bytes] = ()) -> bool:
        """issuers: whose vouchers we take; what they owe for those is no stranger's debt."""
        return self.lists(peer) or self.acquaintances.knows(peer) or peer in issuers

    def _sold_today_wh(self, now_ms: int) -> int:
        """Of the site's local day; of the last 24 hours where the clock can't be trusted."""
        if not trusted(now_ms):
            return sum(wh for at_ms, wh in self._sales if at_ms > now_ms - MS_PER_DAY)
        zone = site_zone(self.config)
        today = datetime.fromtimestamp(now_ms // 1000, UTC).astimezone(zone).date()
        return sum(
            wh
            for at_ms, wh in self._sales
            if datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(zone).date() == today
        )

    def tell_refusal(self, request_id: bytes, peer: bytes, refusal: Refusal) -> None:
        """The owner hears which limit refused, and what would pass."""
        passing = refusal.would_pass
        if refusal.reason is Reason.STRANGER:
            self._welcome.asked(peer)
        self.events.tell(
            "refused",
            request_id,
            peer=short(peer),
            code=refusal.reason.code,
            sentence=refusal.sentence,
            would_pass={"quantity": passing.quantity.unit, "value": passing.value} if passing else None,
        )

    # the battery

    async def _look_at_battery(self) -> BatteryState | None:
        devices = self.connectors.battery
        if devices is None or devices.battery is None:
            return None
        state = await devices.battery.state()
        stored_wh = state.capacity_wh - state.room_wh
        self._battery = BatteryFacts(
            capacity_wh=state.capacity_wh,
            usable_wh=state.usable_energy_wh,
            maker_floor_wh=max(0, stored_wh - state.usable_energy_wh),
            max_discharge_w=state.max_discharge_w,
        )
        return state

    async def battery_json(self) -> dict[str, Any] | None:
        """The battery for its owner; None where there is none, or it does not answer."""
        try:
            state = await self._look_at_battery()
        except DeviceError:
            return None
        if state is None:
            return None
        return {
            "soc_permille": state.soc_permille,
            "usable_energy_wh": state.usable_energy_wh,
            "capacity_wh": state.capacity_wh,
            "reserve_permille": self.policy.reserve_permille,
        }

    # running deliveries

    async def reason_to_stop(self, delivering: Delivering) -> Reason | None:
        """Why our side has to end a running delivery now, if it has to."""
        try:
            state = await self._look_at_battery()
        except DeviceError:
            self._unseen += 1
            blind = delivering.role is Role.PROVIDER and self._unseen >= MAX_UNSEEN
            return Reason.POWER_FAULT if blind else None
        self._unseen = 0
        if delivering.role is Role.CLIENT:
            return Reason.CLIENT_FULL if state is not None and state.room_wh == 0 else None
        now_ms = self.clock.wall_ms()
        commitments = await self.books.run(
            lambda view: self._commitments(view, delivering.request_id, delivering.peer, now_ms)
        )
        running = Running(
            offer=delivering.offer,
            service=delivering.service,
            client_key=delivering.peer,
            window=Window(max(0, delivering.began_at_ms), max(1, delivering.ends_at_ms)),
            delivered_wh=delivering.walk.delivered_wh,
            owed_micro=0,  # receipted amounts stand in the ledger, and so in the commitments
            ahead_wh=energy_at_power_wh(delivering.walk.power_w, AHEAD_MS),
        )
        return recheck_running(running, self.policy, self._battery, commitments, now_ms, trusted(now_ms))


def _window(lock: Lock, now_ms: int | None) -> Window:
    """When a connector is taken. now_ms: it is in use, whatever the clock says: that may have been set meanwhile, and a
    session may be late to end."""
    if now_ms is None:
        return Window(lock.from_ms, lock.until_ms)
    return Window(max(0, min(lock.from_ms, now_ms)), max(lock.until_ms, now_ms + ENDING_MS))


def _held(locks: Sequence[Lock], resource: str) -> int:
    return sum(lock.quantity for lock in locks if lock.resource == resource)
