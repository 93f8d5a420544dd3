"""What a seed means, before it happens: who is there, who buys what of whom, and everything that goes wrong."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from market.units import Service

ACTS: Mapping[Service, tuple[str, str, str]] = {
    Service.V2V: ("box", "car_a.v2v", "car_b.v2v"),
    Service.V2H: ("wallbox", "car_a.v2h", "house.v2h"),
    Service.V2L: ("extension", "car_b.v2l", "cabin.v2l"),
}
"""Cable, and its two ends."""
LARGEST_WH = {Service.V2V: 150, Service.V2H: 20, Service.V2L: 8}
"""What takes about as long in each service."""
CALM = ("bad_air", "apart", "stop", "jump", "disk_full", "slow_meter", "unplug", "restart")
CRASHES = ("kill", "power_loss", "kill_at_commit", "power_loss_at_commit")
HONEST = 1_000


@dataclass(frozen=True, slots=True)
class Purchase:
    """A need of one node."""

    at_s: float
    client: str
    service: Service
    energy_wh: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that happens at a moment. what: a method of `World`; who: node or pair; amount: seconds, or a number of
    commits (a half: before the next), or losses in a thousand."""

    at_s: float
    what: str
    who: tuple[str, ...]
    amount: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One seed's. lies: what a client's meter shows of a thousand Wh."""

    services: tuple[Service, ...]
    purchases: tuple[Purchase, ...]
    troubles: tuple[Trouble, ...] = ()
    air: Mapping[str, Any] = field(default_factory=dict)
    lies: Mapping[str, int] = field(default_factory=dict)

    @property
    def places(self) -> list[str]:
        """The nodes that take part."""
        ends = [end.split(".")[0] for service in self.services for end in ACTS[service][1:]]
        return list(dict.fromkeys(ends))


def plan(seed: int) -> Plan:
    """A third of the seeds have no crash, a tenth has no trouble at all; in a seventh a client's meter lies."""
    if seed % 10 == 9:
        return _calm(random.Random(seed))
    return troubled(seed, CALM + (CRASHES if seed % 3 else ()), at_least=CRASHES if seed % 3 else ())


def troubled(seed: int, kinds: tuple[str, ...], *, at_least: tuple[str, ...] = ()) -> Plan:
    """A plan in which these kinds of trouble happen, and at least one of those."""
    chance = random.Random(seed)
    drawn = _calm(chance)
    troubles = [_trouble(chance, chance.choice(kinds), drawn.places) for _ in range(chance.randint(1, 5))]
    if at_least and not any(each.what in at_least for each in troubles):
        troubles.append(_trouble(chance, chance.choice(at_least), drawn.places))
    return replace(
        drawn,
        troubles=tuple(sorted(troubles, key=lambda each: each.at_s)),
        air={"delay_ms": chance.choice([(1, 5), (5, 60), (50, 400)])},
        lies={drawn.purchases[0].client: chance.choice([400, 800, 950, 1_200])} if seed % 7 == 6 else {},
    )


def _calm(chance: random.Random) -> Plan:
    services = tuple(sorted(chance.sample(list(ACTS), chance.choice([1, 1, 1, 2])), key=int))
    return Plan(services, tuple(_purchase(chance, each) for each in services for _ in range(chance.choice([1, 1, 2]))))


def _purchase(chance: random.Random, service: Service) -> Purchase:
    client = ACTS[service][2].split(".")[0]
    return Purchase(chance.uniform(0, 8), client, service, chance.randint(2, LARGEST_WH[service]))


def _trouble(chance: random.Random, what: str, places: list[str]) -> Trouble:
    who = tuple(chance.sample(places, 2)) if what == "apart" else (chance.choice(places),)
    at_s = chance.uniform(1, 25)
    amounts: Mapping[str, Callable[[], float]] = {
        "jump": lambda: chance.choice([-86_400.0, -30.0, -2.0, 2.0, 30.0, 86_400.0]),
        "kill_at_commit": lambda: chance.randint(1, 20) / 2,
        "power_loss_at_commit": lambda: chance.randint(1, 20) / 2,
        "bad_air": lambda: chance.choice([50, 150, 300]),
    }
    return Trouble(at_s, what, who, amounts.get(what, lambda: chance.choice([0.5, 2.0, 8.0, 25.0]))())
