"""What energy counts and what it costs, worked through for each kind of price, loss rule and meter."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ledger import cbor
from market.delivery import account as accounts
from market.delivery.account import Account, Disputed
from market.settlement import price_lines
from market.terms import Fee, FeeKind, Interval, LossRule, Offer, PriceKind, PriceStep, Profile, Tolerance, to_map
from market.units import MS_PER_MINUTE, Role
from tests.spec.trade import AT_MS, CLIENT, OFFER, PROVIDER

Json = Any

PROVIDER_OPENS_WH = 1_204_551
CLIENT_OPENS_WH = 883_012
MINUTES = ((60_000, 101, 99), (120_000, 203, 199), (180_000, 304, 297))
EDGE = AT_MS // MS_PER_MINUTE + 2
"""A tariff's edge two minutes after the opening, in minutes."""


@dataclass(frozen=True, slots=True)
class Case:
    """readings: of each interval after the opening, its end after that in ms and both sides' Wh since then."""

    name: str
    offer: Offer
    readings: Sequence[tuple[int, int, int]]


CASES = (
    Case("fixed_price_rounded_half_up_once", replace(OFFER, price_steps=(PriceStep(0, 312_505),)), MINUTES),
    Case("fees_are_due_with_the_first_energy_and_taxed", replace(
        OFFER,
        fees=(Fee(FeeKind.SESSION, 20_000), Fee(FeeKind.TRAVEL, 150_001)),
        tax_permyriad=1_900,
    ), ((60_000, 0, 0), *MINUTES[1:])),
    Case("tiers_are_split_at_their_edges", replace(
        OFFER,
        price_kind=PriceKind.TIERED,
        price_steps=(PriceStep(0, 400_000), PriceStep(150, 300_000), PriceStep(250, 200_000)),
    ), MINUTES),
    Case("time_of_use_counts_by_the_beginning_of_an_interval", replace(
        OFFER,
        price_kind=PriceKind.TIME_OF_USE,
        price_steps=(PriceStep(EDGE - 60, 200_000), PriceStep(EDGE, 350_000)),
    ), ((60_000, 101, 99), (EDGE * MS_PER_MINUTE - AT_MS, 190, 186), (180_000, 304, 297))),
    Case("the_clients_meter_is_the_reference", replace(
        OFFER, profile=Profile.DC_BPT, reference=Role.CLIENT, loss=LossRule(30, 41_000)
    ), ((60_000, 101, 96), (120_000, 203, 194))),
    Case("a_meter_that_lags_takes_nothing_back", replace(
        OFFER, profile=Profile.DC_BPT, reference=Role.CLIENT, tolerance=Tolerance(5, 0), loss=LossRule(0, 0)
    ), ((60_000, 100, 105), (120_000, 104, 105))),
    Case("the_last_wh_within_the_tolerance", replace(OFFER, tolerance=Tolerance(3, 30_000)), (
        (60_000, 200, 188), (120_000, 400, 376),
    )),
    Case("one_wh_beyond_the_tolerance", replace(OFFER, tolerance=Tolerance(3, 30_000)), (
        (60_000, 200, 188), (120_000, 400, 375),
    )),
    Case("what_is_undisputed_never_falls_below_the_last_receipt", OFFER, ((60_000, 100, 95), (120_000, 200, 96))),
    Case("the_clients_meter_shows_more_than_left_the_provider", OFFER, ((60_000, 100, 140),)),
)  # fmt: skip


def settlement() -> Json:
    """For each case the offer, and for each interval what both write: the Receipt's figures, or the Dispute's."""
    return [
        {
            "name": case.name,
            "offer": cbor.encode(to_map(case.offer)).hex(),
            "lines": [line.kind.name for line in price_lines(case.offer)],
            "opening": {"end_at_ms": AT_MS, "provider_wh": PROVIDER_OPENS_WH, "client_wh": CLIENT_OPENS_WH},
            "intervals": _intervals(case),
        }
        for case in CASES
    ]


def _intervals(case: Case) -> Json:
    account, told = _next(Account(case.offer), 0, 0, 0), []
    for after_ms, provider_wh, client_wh in case.readings:
        account = _next(account, after_ms, provider_wh, client_wh)
        told.append(
            {
                "end_at_ms": AT_MS + after_ms,
                "provider_wh": PROVIDER_OPENS_WH + provider_wh,
                "client_wh": CLIENT_OPENS_WH + client_wh,
                "result": "dispute" if account.disputed else "receipt",
                "agreed_wh": account.agreed_wh,
                "amounts_micro": list(account.amounts_micro),
            }
        )
    return told


def _next(account: Account, after_ms: int, provider_wh: int, client_wh: int) -> Account:
    """As provider and client come to it: the Interval, then the Receipt or the client's Dispute."""
    interval = Interval(CLIENT.public, account.receipts, AT_MS + after_ms, PROVIDER_OPENS_WH + provider_wh)
    if (fault := accounts.interval_fault(account, interval)) is not None:
        raise ValueError(f"no such interval can follow: {fault.code}")
    account, register_wh = accounts.opened(account, interval), CLIENT_OPENS_WH + client_wh
    reckoned = accounts.reckon(account, register_wh)
    if not isinstance(reckoned, Disputed):
        receipt = accounts.receipt_for(account, reckoned, PROVIDER.public, register_wh)
        after = accounts.receipted(account, receipt)
        if isinstance(after, Disputed):
            raise ValueError("a receipt must be what both reckon")
        return after
    parked = accounts.disputed(account, accounts.dispute_for(account, reckoned, PROVIDER.public))
    if parked is None:
        raise ValueError("the dispute is about no interval")
    return parked
