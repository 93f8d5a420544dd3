"""Both machines of a delivery in every kind of trouble at once: what holds then, and that it ends.

Each side has in the end what its ledger says, whatever was lost on the way there.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from market import settlement
from market.delivery import Written
from market.terms import Fee, FeeKind, PriceKind, PriceStep, Profile, Receipt, SilenceRule
from market.units import Role
from tests.support.market_storm import HEALED_MS, TROUBLES, Storm, Trouble
from tests.support.market_terms import offer
from tests.support.market_world import WALL_MS, Air

OVER_MS = HEALED_MS + 1_200_000
MINUTE = WALL_MS // 60_000
FIXED = offer(energy_wh=300, interval_ms=10_000, exposure_wh=60, fees=(Fee(FeeKind.SESSION, 500_000),))
OFFERS = [
    FIXED,
    offer(energy_wh=200, interval_ms=20_000, exposure_wh=150, silence=SilenceRule.TO_EXPOSURE, tax_permyriad=1_900),
    offer(energy_wh=300, exposure_wh=60, profile=Profile.DC_BPT, reference=Role.CLIENT, pause_max_ms=20_000),
    offer(
        energy_wh=300,
        exposure_wh=100,
        price_kind=PriceKind.TIME_OF_USE,
        price_steps=tuple(PriceStep(MINUTE + each, 100_000 * (1 + each % 3)) for each in range(10)),
    ),
    offer(energy_wh=300, price_kind=PriceKind.TIERED, price_steps=(PriceStep(0, 300_001), PriceStep(70, 100_003))),
]
airs = st.builds(
    Air,
    loss=st.sampled_from([0, 100, 350]),
    repeat=st.sampled_from([0, 300]),
    delay_low_ms=st.just(10),
    delay_high_ms=st.sampled_from([60, 900, 2_500]),
)
troubles = st.lists(
    st.builds(
        Trouble,
        at_ms=st.integers(0, 120_000),
        kind=st.sampled_from(TROUBLES),
        by_client=st.booleans(),
        size=st.integers(0, 10**6),
    ),
    max_size=6,
)
storms = st.builds(
    Storm,
    st.sampled_from(OFFERS),
    troubles,
    seed=st.integers(0, 10**6),
    air=airs,
    provider_ppm=st.sampled_from([0, 8_000, 60_000]),
    client_ppm=st.sampled_from([0, -5_000, -60_000, 60_000]),
    draw_w=st.integers(2_000, 12_000),
)


def check_end(storm: Storm) -> None:
    ours, theirs = storm.stands(storm.provider), storm.stands(storm.client)
    assert ours.written is theirs.written is Written.END, (ours.written, theirs.written)
    assert ours.account.agreed_wh == theirs.account.agreed_wh
    assert ours.account.amounts_micro == theirs.account.amounts_micro
    assert not any(storm.power_w for _ in storm.sides)


def check_power(storm: Storm) -> None:
    assert storm.worst_exposure_wh <= storm.offered.exposure_wh
    assert not storm.power_before_receipt
    for watch in storm.watches.values():
        assert not watch.after_cut, "a cut is for good, whatever comes after it"
        assert not watch.above, "no power above a limit that either side was told"


def check_money(storm: Storm) -> None:
    account = storm.stands(storm.client).account
    delivered_wh = storm.register_wh(storm.provider) - storm.provider.opening_wh
    received_wh = storm.register_wh(storm.client) - storm.client.opening_wh
    assert account.agreed_wh <= max(delivered_wh, received_wh)
    if account.tally is not None:
        assert sum(account.tally.line_wh) == account.agreed_wh
        assert account.amounts_micro == settlement.amounts(storm.offered, account.tally)
    receipts = [
        each for each, digest in storm.client.entries if isinstance(each, Receipt) and digest in storm.client.own
    ]
    assert [each.number for each in receipts] == list(range(len(receipts)))
    assert [each.agreed_wh for each in receipts] == sorted(each.agreed_wh for each in receipts)
    assert [each.register_wh for each in receipts] == sorted(each.register_wh for each in receipts)


@given(storms)
@settings(max_examples=70, deadline=None)
def test_whatever_happens_it_ends_with_one_settlement_for_both_and_within_every_limit(storm: Storm) -> None:
    storm.play(OVER_MS)
    check_power(storm)
    check_money(storm)
    check_end(storm)


def test_a_dispute_whose_append_fails_takes_no_receipt_back() -> None:
    storm = Storm(
        OFFERS[4],
        [Trouble(35_906, "fail_ledger", True, 117_921)],
        seed=1,
        air=Air(),
        provider_ppm=60_000,
        client_ppm=-60_000,
        draw_w=11_534,
    )
    storm.play(OVER_MS)
    assert storm.ledger_fails
    check_money(storm)
    check_end(storm)


def test_storms_deliver_something() -> None:
    """Or the laws would hold of nothing."""
    storm = Storm(FIXED, [Trouble(60_000, "crash", False, 20_000)], seed=1, air=Air())
    storm.play(OVER_MS)
    check_end(storm)
    assert 100 <= storm.stands(storm.client).account.agreed_wh <= 300
