"""Whole nodes in simulated worlds, with faults: whatever they settled has a receipt that holds, on both sides."""

from collections import Counter

import pytest

from tests.simulation.invariants import opened
from tests.simulation.run import make, play
from tests.simulation.world import World
from v2xnode.export.errors import ExportRefused
from v2xnode.export.paper import paper_code, read_paper
from v2xnode.export.receipt import make_receipt
from v2xnode.settling.bill import bill_of
from v2xnode.settling.trades import trades

SEEDS = range(1, 9)


def worlds() -> list[World]:
    kept: list[World] = []
    for seed in SEEDS:
        play(seed, lambda number: kept.append(make(number)) or kept[-1])  # type: ignore[func-returns-value]
    return kept


def test_every_settled_trade_has_a_receipt_and_no_other_has() -> None:
    found: Counter[bool] = Counter()
    for world in worlds():
        for body in world.bodies.values():
            with opened(body) as reader:
                for trade in trades(reader):
                    found[trade.state == "settled"] += 1
                    if trade.state != "settled":
                        with pytest.raises(ExportRefused):
                            make_receipt(reader, trade)
                        continue
                    assert trade.settlement is not None
                    bill = bill_of(trade)
                    assert bill is not None
                    assert bill.amounts_micro == trade.settlement.amounts_micro
                    paper = read_paper(paper_code(make_receipt(reader, trade)))
                    assert paper.total_micro == sum(trade.settlement.amounts_micro)
    assert found[True] >= len(SEEDS)
