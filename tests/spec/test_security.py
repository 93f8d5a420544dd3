"""docs/security.md names tests: each of them has to exist."""

import re
from collections import Counter
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
PAGE = (TESTS.parent / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`([a-z0-9_/]+\.py(?:::test_[a-z0-9_]+)?)`", PAGE)))


@pytest.mark.parametrize("test_id", NAMED)
def test_a_named_test_exists(test_id: str) -> None:
    path, _, name = test_id.partition("::")
    source = (TESTS / path).read_text()
    assert not name or re.search(rf"^(async )?def {name}\(", source, flags=re.MULTILINE)


def test_each_promise_and_each_attack_names_one() -> None:
    promises = re.findall(r"^\*\*\d+\. .*?(?=\n\n)", PAGE, flags=re.MULTILINE | re.DOTALL)
    attacks = [row for row in PAGE.split("## Attacks", 1)[1].splitlines() if re.match(r"\| (?!attack|-)", row)]
    assert len(promises) == 11
    assert [each for each in (*promises, *attacks) if ".py" not in each] == []


def test_nothing_that_looks_like_a_test_is_passed_over() -> None:
    assert Counter(re.findall(r"test_[a-z0-9_]+\.py", PAGE)) == Counter(
        Path(path).name for path in re.findall(r"`([a-z0-9_/]+\.py)(?:::[a-z0-9_]+)?`", PAGE)
    )
