"""Twin of market/errors.py."""

import pytest

from market.errors import MarketError, Quantity, Reason, Refusal, StepRefused, TermsInvalid, WouldPass, describe

OWNERS_OWN = [reason for reason in Reason if 30 <= reason < 60]


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_code_and_a_sentence(reason: Reason) -> None:
    assert reason.code == reason.name.lower()
    assert reason.sentence.endswith(".")
    assert reason.sentence[0].isupper()


def test_no_two_reasons_say_the_same() -> None:
    assert len({reason.sentence for reason in Reason}) == len(Reason)


@pytest.mark.parametrize("reason", OWNERS_OWN)
def test_a_peer_never_hears_the_owners_own_reason(reason: Reason) -> None:
    assert reason.for_peer < Reason.RESERVE


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason < 30])
def test_a_neutral_reason_is_said_as_it_is(reason: Reason) -> None:
    assert reason.for_peer is reason


def test_reserve_departure_and_cap_look_alike_to_a_peer() -> None:
    hidden = (Reason.RESERVE, Reason.DEPARTURE, Reason.MAKER_FLOOR, Reason.DAILY_CAP, Reason.COMMITTED_ELSEWHERE)
    assert {reason.for_peer for reason in hidden} == {Reason.ENERGY_UNAVAILABLE}


@pytest.mark.parametrize(
    ("reason", "normal"),
    [
        (Reason.CLIENT_FULL, True),
        (Reason.ENERGY_REACHED, True),
        (Reason.POWER_FAULT, False),
        (Reason.METER_DISAGREEMENT, False),
    ],
)
def test_normal_ends_are_no_faults(reason: Reason, normal: bool) -> None:
    assert reason.is_normal_end is normal


@pytest.mark.parametrize(
    ("quantity", "value", "said"),
    [
        (Quantity.ENERGY_WH, 12_340, "12.340 kWh"),
        (Quantity.ENERGY_WH, 7, "0.007 kWh"),
        (Quantity.POWER_W, 3_600, "3600 W"),
        (Quantity.PRICE_MICRO_PER_KWH, 1_300_000, "1.300000 a kWh"),
        (Quantity.AMOUNT_MICRO, 50_000, "0.050000"),
        (Quantity.RESERVE_PERMILLE, 255, "a reserve of 25.5 %"),
        (Quantity.START_AT_MS, 1_780_000_000_000, "a start at 2026-05-28 20:26 UTC"),
        (Quantity.START_AT_MS, 0, "a start now"),
    ],
)
def test_a_value_is_written_with_its_unit(quantity: Quantity, value: int, said: str) -> None:
    assert describe(WouldPass(quantity, value)) == said


def test_a_refusal_says_what_would_pass() -> None:
    refusal = Refusal(Reason.RESERVE, WouldPass(Quantity.ENERGY_WH, 4_000))
    assert refusal.sentence == f"{Reason.RESERVE.sentence} 4.000 kWh would pass."
    late = Refusal(Reason.CONNECTOR_BUSY, WouldPass(Quantity.START_AT_MS, 0))
    assert late.sentence.endswith(" A start now would pass.")


def test_a_refusal_without_a_way_is_its_reason() -> None:
    assert Refusal(Reason.BLOCKED).sentence == Reason.BLOCKED.sentence


def test_a_quantity_names_its_unit() -> None:
    assert Quantity.ENERGY_WH.unit == "energy_wh"


def test_every_error_has_one_base_and_a_code() -> None:
    invalid = TermsInvalid("Offer", "energy_wh", "must be 1 or more")
    assert isinstance(invalid, MarketError)
    assert isinstance(StepRefused("no"), MarketError)
    assert (invalid.message, invalid.field, invalid.code) == ("Offer", "energy_wh", "terms_invalid")
    assert str(invalid) == "Offer.energy_wh: must be 1 or more"
