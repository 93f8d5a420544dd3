"""Values of every message, made from the description of its fields."""

from dataclasses import fields
from typing import Any

from hypothesis import strategies as st

from market.terms import (
    Electrical,
    Fee,
    FeeKind,
    Head,
    Means,
    Message,
    Net,
    Offer,
    Pay,
    PriceKind,
    PriceStep,
    Request,
)
from market.terms.control import ElectricalMap
from market.terms.mapping import Boolean, Bytes, Choice, Integer, Kind, ListOf, Octets, Record, Text, Thousands

Values = st.SearchStrategy[Any]


def of_kind(kind: Kind) -> Values:
    """Values of one field."""
    match kind:
        case Integer(low, high):
            return st.integers(low, high)
        case Thousands(low, high):
            return st.integers(low, high).map(lambda number: number * 1_000)
        case Bytes(size):
            return st.binary(min_size=size, max_size=size)
        case Octets(low, high):
            return st.binary(min_size=low, max_size=min(high, low + 64))
        case Text(low, high):
            letters = st.characters(min_codepoint=0x20, max_codepoint=0x24FF).filter(str.isprintable)
            return st.text(letters, min_size=low, max_size=high)
        case Boolean():
            return st.booleans()
        case Choice(enum):
            return st.sampled_from(list(enum)) if list(enum) else st.nothing()
        case ListOf(item, low, high):
            return st.lists(of_kind(item), min_size=low, max_size=high).map(tuple)
        case Record(cls):
            return of_fields(cls)
        case ElectricalMap():
            return of_fields(Electrical)
        case _:  # Hello's newest entry
            return st.lists(of_fields(Head), max_size=1).map(tuple)


def of_fields(cls: type[Any], **given: Values) -> Values:
    """Values of a class, field by field; some by a strategy of their own."""
    described = {each.name: of_kind(each.metadata["kind"]) for each in fields(cls) if each.name not in given}
    return st.builds(cls, **described, **given)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    energies = sorted(draw(st.tuples(st.integers(1, 10**7), st.integers(1, 10**7))))
    powers = sorted(draw(st.tuples(st.integers(0, 10**7), st.integers(1, 10**7))))
    degrees = st.integers(-18_000_000, 18_000_000)
    made: Request = draw(
        of_fields(
            Request,
            energy_min_wh=st.just(energies[0]),
            energy_wh=st.just(energies[1]),
            power_min_w=st.just(powers[0]),
            power_max_w=st.just(powers[1]),
            place=st.one_of(st.just(()), st.tuples(degrees, degrees)),
        )
    )
    return made


@st.composite
def offers(draw: st.DrawFn) -> Offer:
    kind = draw(st.sampled_from(PriceKind))
    prices = draw(st.lists(st.integers(0, 10**9), min_size=1, max_size=1 if kind is PriceKind.FIXED else 24))
    edge = st.integers(1, 10**7)
    edges = sorted(draw(st.lists(edge, min_size=len(prices), max_size=len(prices), unique=True)))
    if kind is not PriceKind.TIME_OF_USE:
        edges[0] = 0
    profile = draw(of_kind(next(each.metadata["kind"] for each in fields(Offer) if each.name == "profile")))
    fee_kinds = draw(st.lists(st.sampled_from(FeeKind), unique=True).map(sorted))
    made: Offer = draw(
        of_fields(
            Offer,
            profile=st.just(profile),
            reference=st.just(profile.reference_meter),
            price_kind=st.just(kind),
            price_steps=st.just(tuple(map(PriceStep, edges, prices))),
            fees=st.tuples(*(st.builds(Fee, st.just(each), st.integers(1, 10**9)) for each in fee_kinds)),
        )
    )
    return made


@st.composite
def nets(draw: st.DrawFn) -> Net:
    line = of_kind(next(each.metadata["kind"] for each in fields(Net) if each.name == "lines").item)
    lines = draw(st.lists(line, min_size=1, max_size=8, unique_by=lambda each: each.currency))
    made: Net = draw(of_fields(Net, lines=st.just(tuple(sorted(lines, key=lambda each: each.currency)))))
    return made


@st.composite
def pays(draw: st.DrawFn) -> Pay:
    draws = draw(of_kind(next(each.metadata["kind"] for each in fields(Pay) if each.name == "draws")))
    means = st.just(Means.VOUCHER) if draws else st.sampled_from([each for each in Means if each is not Means.VOUCHER])
    made: Pay = draw(of_fields(Pay, draws=st.just(draws), means=means))
    return made


def messages(cls: type[Message]) -> Values:
    """Valid messages of one type."""
    if cls is Request:
        return requests()
    if cls is Offer:
        return offers()
    if cls is Net:
        return nets()
    if cls is Pay:
        return pays()
    return of_fields(cls)
