"""Trades over 10 kbps and 300 ms each way, losing nothing, a tenth, or a fifth: `python -m benchmarks.bad_links`.

Two real nodes in two network namespaces (Linux, root), for each loss a pair that are strangers each time (XX) and one
that know each other (IK). All pairs run at once, for they mostly wait; some twenty minutes for fifty trades each.
Every fifth trade runs to its end, the others are stopped in the middle, by either side in turn.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.report import RESULTS, Row, Table, percentile, publish
from tests.support.emulator import BadLink
from tests.support.netns import obstacle
from tests.support.slow_pair import PLACES, SlowPair, slow_pair
from v2xnode.control import RemoteRefusal

LOSSES_PERMILLE = (0, 100, 200)
TRADES = 50
WHOLE_EVERY = 5

ENERGY_REACHED = "energy_reached"
STOPPED = ("stopped_by_owner", "stopped_by_peer")

SET_UP_LOSSLESS_MS = {True: 2_200, False: 3_000}
SET_UP_P99_MS = 15_000
STOP_MS = {50: 1_000, 99: 3_000}
"""The protocol's budgets: those of Stop are for a loss of a tenth."""
_STOP_NOTE = "The other side hears the Stop, or senses at the plug that its peer has ended: whichever is first."


@dataclass(slots=True)
class Measured:
    """What one pair brought. ends: how often each reason ended a trade, or a refusal came instead of one."""

    loss_permille: int
    known: bool
    set_up_ms: list[int] = field(default_factory=list)
    stop_ms: list[int] = field(default_factory=list)
    ends: dict[str, int] = field(default_factory=dict)
    asked: int = 0
    completed: int = 0
    settled_alike: int = 0

    async def trade(self, pair: SlowPair, number: int) -> None:
        """One trade, measured."""
        self.asked += 1
        whole = number % WHOLE_EVERY == 0
        try:
            if whole:
                done, stop_ms = await pair.trade(known=self.known), None
            else:
                done, stop_ms = await pair.stopped(PLACES[number % 2], known=self.known)
        except RemoteRefusal as refusal:
            self._ended(str(refusal.details.get("code", refusal.code)))
            await pair.at_rest()
            return
        await pair.at_rest()
        reason = done["reason"]
        self._ended(reason)
        self.set_up_ms.append(done["setup_ms"])
        self.settled_alike += pair.settled(done["request_id"])
        self.completed += reason == ENERGY_REACHED if whole else reason in STOPPED
        if stop_ms is not None and reason in STOPPED:
            self.stop_ms.append(stop_ms)

    def _ended(self, why: str) -> None:
        self.ends[why] = self.ends.get(why, 0) + 1


async def measure(loss_permille: int, known: bool, trades: int, directory: Path) -> Measured:
    """Trade after trade of one pair."""
    measured = Measured(loss_permille, known)
    seed = 1 + loss_permille + known
    async with slow_pair(directory, BadLink(loss_permille=loss_permille, seed=seed)) as pair:
        for number in range(trades):
            await measured.trade(pair, number)
            print(f"{_name(measured)}: {number + 1} of {trades}", file=sys.stderr, flush=True)
        assert pair.verified()
    return measured


async def measure_all(losses: Sequence[int], trades: int) -> list[Measured]:
    """Every loss, IK and XX, at once."""
    with tempfile.TemporaryDirectory(prefix="v2x-") as name:
        runs = []
        for number, (loss, known) in enumerate((loss, known) for loss in losses for known in (True, False)):
            directory = Path(name) / str(number)
            directory.mkdir()
            runs.append(measure(loss, known, trades, directory))
        return await asyncio.gather(*runs)


def _name(measured: Measured) -> str:
    return f"{'IK' if measured.known else 'XX'}, {measured.loss_permille // 10} % lost"


def tables(all_measured: Sequence[Measured]) -> list[Table]:
    """For people, with the budgets beside them."""
    set_ups, stops, ends = list[Row](), list[Row](), list[Row]()
    for each in all_measured:
        if each.set_up_ms:
            set_ups += _set_up_rows(each)
        if each.stop_ms:
            stops += _stop_rows(each)
        done = 1000 * each.completed / each.asked
        alike = 1000 * each.settled_alike / max(1, each.asked - _refused(each))
        ends.append(Row(f"{_name(each)}: ended as meant ({_told(each)})", "permille", done))
        ends.append(Row(f"{_name(each)}: agreed ones settled alike on both sides", "permille", alike))
    return [
        Table("Set-up, first byte to Start", "-", tuple(set_ups)),
        Table("Stop: from the cut here to the cut there", "-", tuple(stops), note=_STOP_NOTE),
        Table("How trades ended", "-", tuple(ends)),
    ]


def _set_up_rows(each: Measured) -> list[Row]:
    rows = []
    for percent in (50, 90, 99, 100):
        lossless = SET_UP_LOSSLESS_MS[each.known] if each.loss_permille == 0 else None
        goal = lossless if percent == 50 else SET_UP_P99_MS if percent == 99 and each.loss_permille else None
        figure = percentile(each.set_up_ms, percent)
        rows.append(Row(f"{_name(each)}: p{percent} of {len(each.set_up_ms)}", "ms", figure, goal=goal))
    return rows


def _stop_rows(each: Measured) -> list[Row]:
    rows = []
    for percent in (50, 90, 99, 100):
        goal = STOP_MS.get(percent) if each.loss_permille <= 100 else None
        figure = percentile(each.stop_ms, percent)
        rows.append(Row(f"{_name(each)}: p{percent} of {len(each.stop_ms)}", "ms", figure, goal=goal))
    return rows


def _refused(each: Measured) -> int:
    return each.asked - len(each.set_up_ms)


def _told(each: Measured) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(each.ends.items()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trades", type=int, default=TRADES, help="of each pair")
    parser.add_argument("--loss-permille", type=int, nargs="*", default=LOSSES_PERMILLE)
    arguments = parser.parse_args()
    found = obstacle()
    if found is not None:
        print(f"Nothing was measured: {found}", file=sys.stderr)
        return 1
    measured = asyncio.run(measure_all(arguments.loss_permille, arguments.trades))
    publish("bad_links", tables(measured))
    samples = json.dumps([asdict(each) for each in measured])
    (RESULTS / "bad_links_samples.json").write_text(samples + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
