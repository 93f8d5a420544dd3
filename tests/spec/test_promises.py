"""The table of docs/ledger.md that names the tests of each promise: they are there, and test."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = (ROOT / "docs" / "ledger.md").read_text().partition("## Each promise and its tests")[2]
ROWS = [line for line in TABLE.splitlines() if "`tests/" in line]


def test_there_are_eight_promises() -> None:
    assert len(ROWS) == 8


def test_each_names_files_with_tests() -> None:
    for path in re.findall(r"`(tests/[^`]+)`", TABLE):
        assert re.search(r"^(async )?def test_", (ROOT / path).read_text(), flags=re.MULTILINE), path
