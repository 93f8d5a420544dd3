"""How benchmarks tell what they measured."""

import json
from pathlib import Path

import pytest

from benchmarks.report import Row, Table, interleaved, machine, percentile, publish, typical

LIMITED = Row("bytes", "B", 120, 100, goal=115)
FAST = Row("rate", "/s", 1_500, 2_000, ratio_goal=0.6)


def test_a_goal_is_met_by_what_is_ours_or_by_the_ratio() -> None:
    assert LIMITED.met is False
    assert FAST.met is True
    assert Row("both", "B", 90, 100, goal=100, ratio_goal=0.95).met is False
    assert Row("no goal", "B", 90, 100).met is None


def test_without_another_figure_there_is_no_ratio() -> None:
    assert Row("alone", "B", 90).ratio is None
    assert Row("nothing", "B", 90, 0).ratio is None
    assert FAST.ratio == 0.75


def test_a_table_shows_ours_the_other_the_ratio_and_whether_the_goal_is_met() -> None:
    lines = Table("Sizes", "theirs", (LIMITED, FAST), "A note.").text().splitlines()
    assert lines[0] == "Sizes"
    assert lines[1].split() == ["ours", "theirs", "ratio", "goal"]
    assert lines[2].split() == ["bytes", "120", "B", "100", "B", "1.20", "<=", "115", "MISSED"]
    assert lines[3].split() == ["rate", "1,500", "/s", "2,000", "/s", "0.75", "ratio", ">=", "0.60", "met"]
    assert lines[4] == "A note."
    assert len(lines[2].split("MISSED")[0]) == len(lines[3].split("met")[0]), "columns stand under each other"


def test_what_is_published_is_kept_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish("sizes", [Table("Sizes", "theirs", (LIMITED,))], tmp_path / "new")
    assert "Sizes" in capsys.readouterr().out
    kept = json.loads((tmp_path / "new" / "sizes.json").read_text())
    assert kept["machine"] == machine()
    (row,) = kept["tables"][0]["rows"]
    assert (row["ours"], row["other"], row["ratio"], row["met"]) == (120, 100, 1.2, False)


def test_a_percentile_is_one_of_the_values() -> None:
    values = list(range(1, 101))
    assert (percentile(values, 50), percentile(values, 99), percentile(values, 100)) == (50, 99, 100)
    assert percentile([7, 3], 99) == 7
    assert percentile([5], 1) == 5
    with pytest.raises(ValueError, match="needs values"):
        percentile([], 50)


def test_the_typical_pair_has_the_median_ratio() -> None:
    assert typical([(9, 1), (4, 2), (5, 5)]) == (4, 2)


def test_rounds_are_taken_in_turn() -> None:
    order: list[str] = []

    def measured(name: str) -> float:
        order.append(name)
        return float(len(order))

    assert interleaved(2, lambda: measured("ours"), lambda: measured("other")) == [(1, 2), (3, 4)]
    assert order == ["ours", "other", "ours", "other"]
