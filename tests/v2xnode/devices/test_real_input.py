"""The shipped data are whole, sourced and plausible, and a damaged file gives an error with a code, never a value."""

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2xnode.devices import real_input as ri

MODELS = ri.ev_models()
SEASONS = ("winter", "transition", "summer")
Damage = Callable[[Any], object]


def shipped(name: str) -> Any:
    return json.loads((files("v2xnode.devices") / "data" / name).read_text(encoding="utf-8"))


def code_of(parse: Callable[[str], object], document: object) -> str:
    with pytest.raises(ri.RealInputError) as caught:
        parse(json.dumps(document))
    return caught.value.code


def first_values(document: Any) -> Any:
    return document["models"][0]["values"]


def first_source(document: Any) -> Any:
    return document["models"][0]["source"]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.model_id)
def test_a_model_obeys_physics(model: ri.EvModel) -> None:
    assert model.nominal_energy_wh * 9 // 10 <= model.usable_energy_wh <= model.nominal_energy_wh
    assert model.discharge_w <= model.dc_charge_w
    assert model.outlet_w < model.ac_charge_w
    cells = model.pack_max_voltage_mv // 4200
    assert 3500 * cells < model.pack_voltage_mv < 3800 * cells  # a lithium-ion cell's nominal voltage


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.model_id)
def test_every_value_says_where_it_comes_from(model: ri.EvModel) -> None:
    catalogue = shipped("ev_models.json")["sources"]
    for field in first_values(shipped("ev_models.json")):
        origin = model.origin_of(field)
        assert (origin.note != "") if origin.assumed else (origin.source in catalogue)


def test_every_source_of_the_catalogue_is_used() -> None:
    document = shipped("ev_models.json")
    said = " ".join(text for model in document["models"] for text in model["source"].values())
    assert [key for key in document["sources"] if key not in said] == []


def test_the_fleet_serves_each_service() -> None:
    assert any(model.discharge_w > 0 and model.dc_connector == "ccs2" for model in MODELS)
    assert any(model.discharge_w > 0 and model.dc_connector == "chademo" for model in MODELS)
    assert any(model.outlet_w > ri.cabin().peak_w for model in MODELS)
    assert any(model.discharge_w == 0 and model.outlet_w == 0 for model in MODELS)  # a car that can only be a client


def test_the_id4_keeps_the_published_numbers() -> None:
    id4 = ri.ev_model("vw-id4")
    assert (id4.usable_energy_wh, id4.dc_charge_w, id4.discharge_w) == (77_000, 135_000, 10_000)
    assert id4.origin_of("discharge_w").source == "ev2gym"
    assert id4.origin_of("charge_taper").assumed


def test_a_taper_runs_straight_between_its_points_and_rounds_down() -> None:
    id4 = ri.ev_model("vw-id4")  # 1000 permille up to 300, 520 at 700 and 800, 176 at 1000
    assert [id4.taper_permille(soc) for soc in (0, 300, 500, 501, 700, 900)] == [1000, 1000, 760, 758, 520, 348]
    assert id4.dc_charge_limit_w(1000) == 23_760


@given(model=st.sampled_from(MODELS), soc=st.integers(0, 1000))
def test_the_charge_limit_never_passes_the_maximum(model: ri.EvModel, soc: int) -> None:
    assert 0 < model.dc_charge_limit_w(soc) <= model.dc_charge_w


@pytest.mark.parametrize("soc", [-1, 1001])
def test_a_soc_outside_the_scale_is_refused(soc: int) -> None:
    with pytest.raises(ri.OutsideRange):
        MODELS[0].taper_permille(soc)


@pytest.mark.parametrize("season", SEASONS)
def test_a_household_day_fits_its_year(season: str) -> None:
    profile = ri.household(season)
    assert len(profile.quarters_w) == 96
    mean_day_wh = 4_000_000 // 365
    assert mean_day_wh * 3 // 4 < profile.day_energy_wh < mean_day_wh * 5 // 4
    night_w, evening_w = profile.power_w(3 * 3_600_000), profile.power_w(19 * 3_600_000)
    assert evening_w > night_w


def test_winter_needs_more_than_summer() -> None:
    winter, transition, summer = (ri.household(season).day_energy_wh for season in SEASONS)
    assert winter > transition > summer


def test_the_first_winter_quarter_follows_the_formula_of_the_readme() -> None:
    # h25.csv, January, workday, 00:00-00:15: 20.126 kWh; the BDEW factor of day 15 is 1.256765...
    assert ri.household("winter").power_w(0) == round(16 * 20.126 * 1.256765155)


@given(at_ms=st.integers(0, ri.DAY_MS - 1))
def test_power_holds_for_its_quarter_of_an_hour(at_ms: int) -> None:
    profile = ri.cabin()
    assert profile.power_w(at_ms) == profile.quarters_w[at_ms // 900_000]


@pytest.mark.parametrize("at_ms", [-1, 86_400_000])
def test_a_time_outside_the_day_is_refused(at_ms: int) -> None:
    with pytest.raises(ri.OutsideRange):
        ri.cabin().power_w(at_ms)


def test_the_cabin_fits_a_camp() -> None:
    cabin = ri.cabin()
    assert 3_000 < cabin.day_energy_wh < 8_000
    assert min(cabin.quarters_w) == 57  # the fridge and the router at night


@pytest.mark.parametrize("call", [lambda: ri.ev_model("trabant"), lambda: ri.household("monsoon")])
def test_an_unknown_name_is_refused_with_those_that_exist(call: Callable[[], object]) -> None:
    with pytest.raises(ri.UnknownInput, match=r"vw-id4|winter"):
        call()


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda d: first_values(d).update(usable_energy_wh=62_001), "real_input_implausible"),
        (lambda d: first_values(d).update(pack_voltage_mv=350), "real_input_implausible"),
        (lambda d: first_values(d).update(discharge_w=-1), "real_input_implausible"),
        (lambda d: first_values(d).update(discharge_w=100_001), "real_input_implausible"),
        (lambda d: first_values(d).update(charge_taper=[[0, 1000], [500, 900]]), "real_input_implausible"),
        (lambda d: first_values(d).update(charge_taper=[[0, 900], [1000, 900]]), "real_input_implausible"),
        (lambda d: first_values(d).update(usable_energy_wh=59_000.0), "real_input_malformed"),
        (lambda d: first_values(d).update(ac_phases=True), "real_input_malformed"),
        (lambda d: first_values(d).update(dc_connector="schuko"), "real_input_malformed"),
        (lambda d: first_values(d).update(colour="red"), "real_input_malformed"),
        (lambda d: first_values(d).pop("outlet_w"), "real_input_malformed"),
        (lambda d: d["models"].append(d["models"][0]), "real_input_malformed"),
        (lambda d: d.update(schema="v2xnode/ev-models/2"), "real_input_malformed"),
        (lambda d: first_source(d).pop("outlet_w"), "real_input_unsourced"),
        (lambda d: first_source(d).update(outlet_w="hearsay: a friend"), "real_input_unsourced"),
        (lambda d: first_source(d).update(outlet_w="assumed"), "real_input_unsourced"),
        (lambda d: d["sources"]["ev2gym"].update(url="http://example.org"), "real_input_unsourced"),
    ],
)
def test_a_damaged_model_file_is_refused(damage: Damage, code: str) -> None:
    document = shipped("ev_models.json")
    damage(document)
    assert code_of(ri.parse_ev_models, document) == code


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda d: d["profiles"][0]["power_w"].pop(), "real_input_malformed"),
        (lambda d: d["profiles"].append(d["profiles"][0]), "real_input_malformed"),
        (lambda d: d.update(annual_energy_wh=400_000), "real_input_implausible"),
        (lambda d: d.update(annual_energy_wh=40_000_000), "real_input_implausible"),
    ],
)
def test_a_damaged_household_file_is_refused(damage: Damage, code: str) -> None:
    document = shipped("household_h25.json")
    damage(document)
    assert code_of(ri.parse_household, document) == code


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda d: d.update(origin="measured"), "real_input_unsourced"),
        (lambda d: d["appliances"][0].update(from_to_quarters=[[8, 8]]), "real_input_implausible"),
        (lambda d: d["appliances"][0].update(from_to_quarters=[[8, 97]]), "real_input_implausible"),
        (lambda d: d["appliances"][0].update(from_to_quarters=[[8]]), "real_input_malformed"),
    ],
)
def test_a_damaged_cabin_file_is_refused(damage: Damage, code: str) -> None:
    document = shipped("cabin_load.json")
    damage(document)
    assert code_of(ri.parse_cabin, document) == code


@pytest.mark.parametrize("name", ["ev_models.LICENSE.txt", "household_h25.LICENSE.txt"])
def test_a_licence_lies_beside_foreign_data(name: str) -> None:
    text = (files("v2xnode.devices") / "data" / name).read_text(encoding="utf-8")
    assert "Copyright (c)" in text
    assert "Permission is hereby granted" in text
