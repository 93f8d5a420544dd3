"""Numbers from bytes."""

import os
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from v2xnode.entropy import draw_below


@given(st.integers(1, 2**40))
def test_a_number_is_below_its_bound(bound: int) -> None:
    assert 0 <= draw_below(os.urandom, bound) < bound


def test_every_number_comes_about_as_often() -> None:
    seen = Counter(draw_below(os.urandom, 3) for _ in range(6_000))
    assert all(1_700 < seen[number] < 2_300 for number in range(3))  # 8 standard deviations
