"""A file of shipped data is read strictly, or not at all."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2xnode.devices.strict_json import MAX_FILE_CHARS, MalformedInput, RealInputError, read_document

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def test_the_promised_fields_are_given() -> None:
    assert read_document('{"schema": "s/1", "a": 1}', "s/1", {"a"})["a"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "[" * 100_000,
        '{"schema": "s/1", "a": 1, "a": 2}',
        '{"schema": "s/1"}',
        '{"schema": "s/1", "a": 1, "b": 2}',
        '{"schema": "s/2", "a": 1}',
        '{"schema": "s/1", "a": 1}' + " " * MAX_FILE_CHARS,
    ],
)
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(MalformedInput):
        read_document(text, "s/1", {"a"})


@given(value=JSON)
def test_any_other_json_ends_in_our_own_error(value: object) -> None:
    with pytest.raises(RealInputError):
        read_document(json.dumps(value), "s/1", {"a"})
