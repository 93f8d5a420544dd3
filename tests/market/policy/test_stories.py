"""Laws of the owner's policy over whole stories: any sequence of requests, counters, agreements, deliveries and changed
limits. The driver of these tests keeps the books as a node does, and asks the policy where a node asks it."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from market.errors import Refusal
from market.policy import (
    BatteryFacts,
    Case,
    Commitments,
    Departure,
    Lock,
    OwnerPolicy,
    Running,
    StrangerRule,
    confirmable,
    countered,
    decide,
    drawn_wh,
    floor,
    lock_for,
    recheck_running,
)
from market.pricing import FixedTariff, TieredTariff, highest_cost_micro, lowest_price_micro_per_kwh
from market.settlement import add, amounts, open_tally, total
from market.terms import Counter, Fee, FeeKind, LossRule, Offer, PriceStep
from market.units import MS_PER_HOUR, Service, ServiceBits
from tests.market.world import CLIENT, NOW_MS, OTHER, case, request

CHUNK_WH = 400
"""What flows between two readings, at most."""
PEERS = (CLIENT, OTHER)


@dataclass(slots=True)
class Session:
    """One agreement: its locks until it ends, and what was delivered under it."""

    client: bytes
    offer: Offer
    lock: Lock
    delivered_wh: int = 0
    drawn_wh: int = 0

    @property
    def owed_micro(self) -> int:
        tally = add(self.offer, open_tally(self.offer, 0), 1, self.delivered_wh)
        return total(amounts(self.offer, tally))

    @property
    def may_owe_micro(self) -> int:
        return highest_cost_micro(self.offer, self.offer.energy_wh)


@dataclass(slots=True)
class Owner:
    """A node's books around the policy."""

    policy: OwnerPolicy
    battery: BatteryFacts
    now_ms: int = NOW_MS
    sessions: list[Session] = field(default_factory=list)
    over: list[Session] = field(default_factory=list)
    known: set[bytes] = field(default_factory=set)

    def commitments(self, client: bytes, without: Session | None = None) -> Commitments:
        others = [each for each in self.sessions if each is not without]
        debts = {peer: self._debt_micro(peer, without) for peer in PEERS}
        return Commitments(
            locked_wh=sum(max(0, each.lock.battery_wh - each.drawn_wh) for each in others),
            promised_wh=sum(each.offer.energy_wh - each.delivered_wh for each in others),
            windows=tuple(each.lock.window for each in others),
            delivered_today_wh=sum(each.delivered_wh for each in (*self.over, *others)),
            peer_debt_micro=debts[client],
            strangers_debt_micro=sum(debts[peer] for peer in PEERS if peer not in self.known),
            peer_known=client in self.known,
        )

    def _debt_micro(self, client: bytes, without: Session | None) -> int:
        ended = sum(each.owed_micro for each in self.over if each.client == client)
        may = sum(each.may_owe_micro for each in self.sessions if each.client == client and each is not without)
        return ended + may

    def case(self, client: bytes, wanted_wh: int, hour: int, price: int) -> Case:
        asked = request(
            energy_wh=wanted_wh,
            energy_min_wh=1,
            start_at_ms=NOW_MS + hour * MS_PER_HOUR,
            window_ms=MS_PER_HOUR,
            price_max_micro_per_kwh=price,
        )
        return case(
            request=asked,
            client_key=client,
            policy=self.policy,
            battery=self.battery,
            commitments=self.commitments(client),
            now_ms=self.now_ms,
        )

    def confirm(self, client: bytes, asked: Case, made: Offer) -> None:
        fresh = replace(asked, commitments=self.commitments(client), battery=self.battery, policy=self.policy)
        if confirmable(fresh, made) is None:
            lock = lock_for(fresh, made)
            assert isinstance(lock, Lock)
            self.sessions.append(Session(client, made, lock))

    def deliver(self, session: Session, wh: int) -> bool:
        """One reading's worth, if the policy lets it go on."""
        wh = min(wh, session.offer.energy_wh - session.delivered_wh)
        running = Running(
            offer=session.offer,
            service=Service.V2V,
            client_key=session.client,
            window=session.lock.window,
            delivered_wh=session.delivered_wh,
            owed_micro=session.owed_micro,
            ahead_wh=CHUNK_WH,
        )
        others = self.commitments(session.client, session)
        if recheck_running(running, self.policy, self.battery, others, session.lock.window.start_at_ms, True):
            return False
        before_wh = session.drawn_wh
        session.delivered_wh += wh
        session.drawn_wh = drawn_wh(session.offer, session.delivered_wh, self.battery, 0)
        gone_wh = session.drawn_wh - before_wh
        self.battery = replace(self.battery, usable_wh=self.battery.usable_wh - gone_wh)
        return True

    def end(self, session: Session) -> None:
        self.sessions.remove(session)
        self.over.append(session)
        self.known.add(session.client)

    @property
    def floor_wh(self) -> int:
        return floor(self.policy, self.battery, self.now_ms, True).energy_wh


prices = st.sampled_from([600_000, 600_000, 600_000, 400_000, 300_000, 299_999, 0])
acts = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(100, 12_000), st.integers(0, 9), prices),
        st.tuples(st.just("ask"), st.integers(100, 12_000), st.integers(0, 9), prices),
        st.tuples(st.just("deliver"), st.integers(0, 9), st.integers(1, CHUNK_WH), st.integers(1, 60)),
        st.tuples(st.just("deliver"), st.integers(0, 9), st.just(CHUNK_WH), st.integers(10, 60)),
        st.tuples(st.just("end"), st.integers(0, 9), st.just(0), st.just(0)),
        st.tuples(st.just("limit"), st.integers(0, 1_000), st.integers(0, 40_000), st.integers(0, 30_000_000)),
    ),
    min_size=5,
    max_size=14,
)
policies = st.builds(
    OwnerPolicy,
    services=st.just(ServiceBits.V2V),
    tariff=st.sampled_from([FixedTariff(300_000), TieredTariff((PriceStep(0, 400_000), PriceStep(2_000, 300_000)))]),
    reserve_permille=st.integers(0, 400),
    departure=st.none() | st.just(Departure(NOW_MS + 100 * MS_PER_HOUR, 20_000)),
    daily_cap_wh=st.integers(4_000, 40_000),
    price_stop_micro_per_kwh=st.sampled_from([0, 350_000]),
    strangers=st.just(StrangerRule.YES),
    debt_cap_micro=st.integers(2_000_000, 20_000_000),
    stranger_debt_cap_micro=st.integers(2_000_000, 20_000_000),
    fees=st.sampled_from([(), (Fee(FeeKind.SESSION, 200_000),)]),
    tax_permyriad=st.sampled_from([0, 1_900]),
)
batteries = st.builds(
    BatteryFacts,
    capacity_wh=st.just(60_000),
    usable_wh=st.integers(20_000, 57_000),
    maker_floor_wh=st.just(3_000),
    max_discharge_w=st.just(50_000),
    loss=st.builds(LossRule, st.just(0), st.integers(0, 100_000)),
)
owners = st.builds(Owner, policies, batteries)


def play(owner: Owner, act: tuple[str, int, int, int], counter: Counter | None = None) -> None:
    kind, first, second, third = act
    if kind == "ask":
        client = PEERS[first % 2]
        asked = owner.case(client, first, second, third)
        made = decide(asked)
        if isinstance(made, Offer):
            owner.confirm(client, asked, made)
    elif kind == "limit":
        changed = {"reserve_permille": first, "daily_cap_wh": second, "debt_cap_micro": third}
        owner.policy = replace(owner.policy, **changed)  # type: ignore[arg-type]
    elif owner.sessions:
        session = owner.sessions[first % len(owner.sessions)]
        if kind == "end" or not all(owner.deliver(session, second) for _ in range(third)):
            owner.end(session)


@given(owner=owners, story=acts)
@settings(max_examples=150, deadline=None)
def test_whatever_is_asked_and_delivered_no_limit_is_passed(
    owner: Owner, story: list[tuple[str, int, int, int]]
) -> None:
    """Where the owner tightens a limit below what is gone already, nothing more goes."""
    for act in story:
        stored_wh, floor_wh = owner.battery.stored_wh, owner.floor_wh
        today_wh = owner.commitments(CLIENT).delivered_today_wh
        play(owner, act)
        gone_wh = stored_wh - owner.battery.stored_wh
        assert gone_wh == 0 or owner.battery.stored_wh >= floor_wh
        delivered_wh = owner.commitments(CLIENT).delivered_today_wh - today_wh
        assert delivered_wh == 0 or today_wh + delivered_wh <= owner.policy.daily_cap_wh
        for session in owner.sessions:
            assert session.delivered_wh <= session.offer.energy_wh
            assert session.drawn_wh <= session.lock.battery_wh, "never more than was locked for it"


@given(owner=owners, story=acts)
@settings(max_examples=100, deadline=None)
def test_what_is_locked_at_once_is_there_and_fits_every_cap(
    owner: Owner, story: list[tuple[str, int, int, int]]
) -> None:
    for act in story:
        if act[0] == "limit":
            continue
        play(owner, act)
        for client in PEERS:
            held = owner.commitments(client)
            assert not held.locked_wh or owner.battery.stored_wh - held.locked_wh >= owner.floor_wh
            assert held.delivered_today_wh + held.promised_wh <= owner.policy.daily_cap_wh
            assert held.peer_debt_micro <= owner.policy.debt_cap_micro
            assert held.strangers_debt_micro <= owner.policy.stranger_debt_cap_micro
        windows = sorted((each.lock.window for each in owner.sessions), key=lambda each: each.start_at_ms)
        assert all(one.end_at_ms <= two.start_at_ms for one, two in pairwise(windows))


counters = st.lists(st.tuples(st.integers(0, 600_000), st.integers(1, 30_000)), min_size=1, max_size=3)


@given(owner=owners, price=prices, wanted_wh=st.integers(1, 30_000), offers=counters)
@settings(max_examples=100, deadline=None)
def test_no_counter_gets_a_price_below_the_owners_nor_more_than_is_free(
    owner: Owner, price: int, wanted_wh: int, offers: list[tuple[int, int]]
) -> None:
    asked = owner.case(CLIENT, wanted_wh, 1, price)
    tariff = owner.policy.tariff
    own = tariff.price_micro_per_kwh if isinstance(tariff, FixedTariff) else 300_000
    lowest = max(own, owner.policy.price_stop_micro_per_kwh)
    for number, (counter_price, energy_wh) in enumerate(offers, start=1):
        counter = Counter(asked.request.request_id, number, counter_price, energy_wh)
        made = decide(replace(asked, request=countered(asked.request, counter), number=number))
        if isinstance(made, Refusal):
            continue
        assert lowest_price_micro_per_kwh(made) >= lowest
        assert made.number == number
        assert made.energy_wh <= energy_wh
        drawn = drawn_wh(made, made.energy_wh, owner.battery, MS_PER_HOUR)
        assert owner.battery.stored_wh - drawn >= owner.floor_wh


def test_stories_are_about_something() -> None:
    """Or the laws would hold of nothing."""
    policy = OwnerPolicy(
        services=ServiceBits.V2V, tariff=FixedTariff(300_000), reserve_permille=300, strangers=StrangerRule.YES
    )
    owner = Owner(policy, BatteryFacts(capacity_wh=60_000, usable_wh=40_000, max_discharge_w=50_000))
    for act in [("ask", 5_000, 1, 600_000), ("ask", 5_001, 2, 600_000), ("deliver", 0, 400, 10), ("end", 0, 0, 0)]:
        play(owner, act)
    assert [each.delivered_wh for each in owner.over] == [4_000]
    assert len(owner.sessions) == 1
