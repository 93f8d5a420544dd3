import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2xnode.toml import to_toml

texts = st.text(st.characters(exclude_categories=["Cs"]))
plain = st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts
values = st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=8)
names = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1)


@given(st.dictionaries(names, st.dictionaries(names, values)))
def test_what_is_written_is_read_back(tables: dict[str, dict[str, object]]) -> None:
    assert tomllib.loads(to_toml(tables)) == tables


@pytest.mark.parametrize("value", [1.5, None, b"x", object()])
def test_what_has_no_place_in_a_configuration_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        to_toml({"node": {"name": value}})
