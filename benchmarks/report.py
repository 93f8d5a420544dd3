"""What every benchmark has in common: rows with ours, the other and their ratio, printed as a table, kept as JSON."""

import json
import os
import platform
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "build" / "bench"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure beside another from the same run, or beside a limit.

    goal: the most that `ours` may be; ratio_goal: the least that ours / other may be. None for what has no goal.
    """

    what: str
    unit: str
    ours: float
    other: float | None = None
    goal: float | None = None
    ratio_goal: float | None = None

    @property
    def ratio(self) -> float | None:
        """ours / other, where there is another."""
        return self.ours / self.other if self.other else None

    @property
    def met(self) -> bool | None:
        """Whether the goals are met; None without one."""
        kept: list[bool] = []
        if self.goal is not None:
            kept.append(self.ours <= self.goal)
        if self.ratio_goal is not None and self.ratio is not None:
            kept.append(self.ratio >= self.ratio_goal)
        return all(kept) if kept else None


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a benchmark. other: what the second column of figures is."""

    title: str
    other: str
    rows: tuple[Row, ...]
    note: str = ""

    def text(self) -> str:
        """For people: columns wide enough, figures to the right."""
        lines = [("", "ours", self.other, "ratio", "goal", ""), *(_cells(row) for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(6)]
        spelled = [
            "  ".join(
                cell.ljust(width) if column in (0, 5) else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        return "\n".join([self.title, *spelled, *([self.note] if self.note else [])])

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        rows = [{**asdict(row), "ratio": row.ratio, "met": row.met} for row in self.rows]
        return {"title": self.title, "other": self.other, "note": self.note, "rows": rows}


def _cells(row: Row) -> tuple[str, ...]:
    goals = []
    if row.goal is not None:
        goals.append(f"<= {_number(row.goal)}")
    if row.ratio_goal is not None:
        goals.append(f"ratio >= {_number(row.ratio_goal)}")
    return (
        row.what,
        f"{_number(row.ours)} {row.unit}",
        "-" if row.other is None else f"{_number(row.other)} {row.unit}",
        "-" if row.ratio is None else f"{row.ratio:.2f}",
        " and ".join(goals) or "-",
        {None: "", True: "met", False: "MISSED"}[row.met],
    )


def _number(value: float) -> str:
    if value == int(value) or abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def publish(name: str, tables: Sequence[Table], directory: Path = RESULTS) -> None:
    """Print the tables, and keep them with what they were measured on in `directory`/`name`.json."""
    print("\n\n".join(table.text() for table in tables), end="\n\n", flush=True)
    directory.mkdir(parents=True, exist_ok=True)
    kept = {"benchmark": name, "machine": machine(), "tables": [table.as_json() for table in tables]}
    (directory / f"{name}.json").write_text(json.dumps(kept, indent=2) + "\n")


def machine() -> dict[str, str | int]:
    """The kind of machine; nothing that names this one."""
    return {
        "system": platform.system(),
        "kernel": platform.release().split("-")[0],
        "architecture": platform.machine(),
        "processor": _processor(),
        "processors": os.cpu_count() or 0,
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def percentile(values: Iterable[float], percent: int) -> float:
    """The smallest value that at least so many per cent of all are not above (nearest rank). Raises ValueError for
    none."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("a percentile needs values")
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def interleaved(rounds: int, ours: Callable[[], float], other: Callable[[], float]) -> list[tuple[float, float]]:
    """Both measured in turn, so that a machine whose speed drifts slows both."""
    return [(ours(), other()) for _ in range(rounds)]


def typical(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The pair with the median ratio, so that the two figures shown are from one round."""
    ordered = sorted(pairs, key=lambda pair: pair[0] / pair[1])
    return ordered[(len(ordered) - 1) // 2]


def median(values: Iterable[float]) -> float:
    """The middle one."""
    return statistics.median(values)
