import tomllib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from v2xnode.toml import to_toml

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
plain = st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts
values = plain | st.lists(plain, max_size=3) | st.dictionaries(texts, plain | st.lists(plain, max_size=2), max_size=3)
names = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)


@given(st.dictionaries(names, st.dictionaries(names, values, max_size=3), max_size=2))
@settings(deadline=None)
@example({"a": {"b": {"\U00010000\x7f": "\x7f"}}})
def test_what_is_written_is_read_back(tables: dict[str, dict[str, object]]) -> None:
    assert tomllib.loads(to_toml(tables)) == tables


@pytest.mark.parametrize("value", [1.5, None, b"x", object()])
def test_what_has_no_place_in_a_configuration_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        to_toml({"node": {"name": value}})
