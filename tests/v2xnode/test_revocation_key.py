"""What is printed is read again, and a misprint is no key."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.keys.bodies import commitment_to
from v2xnode.errors import UsageError
from v2xnode.revocation_key import RevocationKey

KEYS = st.binary(min_size=32, max_size=32).map(RevocationKey)


@given(KEYS)
def test_it_is_read_however_it_is_typed(key: RevocationKey) -> None:
    for typed in (key.text, key.text.lower(), key.text.replace("-", " ") + "\n", key.letters):
        assert RevocationKey.parse(typed) == key
    assert RevocationKey.parse(key.text.replace("O", "0").replace("I", "1").replace("B", "8")) == key


@given(KEYS, st.data())
def test_a_misprint_is_no_key(key: RevocationKey, data: st.DataObject) -> None:
    letters = key.letters
    at = data.draw(st.integers(0, len(letters) - 1))
    other = data.draw(
        st.sampled_from([letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" if letter != letters[at]])
    )
    with pytest.raises(UsageError) as refused:  # one letter is five bits, and never all of the checksum
        RevocationKey.parse(letters[:at] + other + letters[at + 1 :])
    assert refused.value.code == "misprint"


@pytest.mark.parametrize("text", ["", "ABCD", "é" * 56, "A" * 57, "9" * 56])
def test_what_is_no_key_is_told(text: str) -> None:
    with pytest.raises(UsageError):
        RevocationKey.parse(text)


def test_it_is_printed_in_fourteen_groups_and_never_shown_by_accident() -> None:
    key = RevocationKey.new(os.urandom)
    assert [len(group) for group in key.text.split("-")] == [4] * 14
    assert "seed" not in repr(key)
    assert key.commitment == commitment_to(key.signer.public)
