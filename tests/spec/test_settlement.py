"""The worked settlements by the formulas of docs/protocol.md ("Metering and money"), from the maps of the offers."""

import json
from itertools import pairwise
from typing import Any

import cbor2
import pytest

from tests.spec.vectors import FOLDER

CASES = json.loads((FOLDER / "settlement.json").read_text())
DEFAULTS: dict[int, Any] = {5: 0, 7: 0, 9: [], 10: 0}
FIXED, TIME_OF_USE, TIERED = 0, 1, 2


def amounts(offer: dict[int, Any], counted: list[tuple[int, int]]) -> list[int]:
    """counted: the end of each interval from the opening on, with the agreed Wh then."""
    agreed_wh, edges = counted[-1][1], [edge for edge, _ in offer[8]]
    wh = [0] * len(edges)
    if offer[7] == FIXED:
        wh[0] = agreed_wh
    elif offer[7] == TIERED:
        wh = [max(0, min(agreed_wh, above) - edge) for edge, above in pairwise([*edges, 10**9])]
    else:
        for (begin_ms, before_wh), (_, after_wh) in pairwise(counted):
            begun = [step for step, edge in enumerate(edges) if edge <= begin_ms // 60_000]
            wh[max(begun, default=0)] += after_wh - before_wh
    lines = [(each * price + 500) // 1000 for each, (_, price) in zip(wh, offer[8], strict=True)]
    lines += [amount if agreed_wh > 0 else 0 for _, amount in offer[9]]
    return [*lines, (sum(lines) * offer[10] + 5_000) // 10_000] if offer[10] else lines


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_pages_formulas_come_to_the_same(case: Any) -> None:
    offer = DEFAULTS | cbor2.loads(bytes.fromhex(case["offer"]))
    (standby_w, loss_ppm), (floor_wh, class_ppm) = offer[11], offer[16]
    opening = case["opening"]
    counted = [(opening["end_at_ms"], 0)]
    for interval in case["intervals"]:
        provider_wh = interval["provider_wh"] - opening["provider_wh"]
        client_wh = interval["client_wh"] - opening["client_wh"]
        elapsed_ms = interval["end_at_ms"] - opening["end_at_ms"]
        loss = standby_w * elapsed_ms // 3600000 + (provider_wh * loss_ppm + 500000) // 1000000
        agree = abs(client_wh - max(0, provider_wh - loss)) <= max(floor_wh, class_ppm * provider_wh // 1000000)
        counts_wh = (provider_wh, client_wh)[offer[5]] if agree else min(provider_wh, client_wh)
        counted.append((interval["end_at_ms"], max(counts_wh, counted[-1][1])))
        assert interval["result"] == ("receipt" if agree else "dispute")
        assert interval["agreed_wh"] == counted[-1][1]
        assert interval["amounts_micro"] == amounts(offer, counted)


def test_every_kind_of_price_line_and_both_results_are_there() -> None:
    assert {line for case in CASES for line in case["lines"]} == {"ENERGY", "SESSION_FEE", "TRAVEL_FEE", "TAX"}
    assert {each["result"] for case in CASES for each in case["intervals"]} == {"receipt", "dispute"}
