"""A sealed file opens with its passphrase, whole and unchanged, or not at all."""

import io
import os
import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from v2xnode.backup.sealed import CHUNK_BYTES, MAX_MEMORY_KIB, MAX_OPS, Cost, Unopened, seal, unseal
from v2xnode.errors import UsageError

PASSPHRASE = b"correct horse"
CHEAP = Cost(ops=1, memory_kib=8)
SEALED_CHUNK = CHUNK_BYTES + 16
HEAD = 14 + 1 + 4 + 4 + 16 + 16


def sealed(plain: bytes, passphrase: bytes = PASSPHRASE) -> bytes:
    return b"".join(seal([plain], passphrase, entropy=os.urandom, cost=CHEAP))


def opened(data: bytes, passphrase: bytes = PASSPHRASE) -> bytes:
    return b"".join(unseal(io.BytesIO(data), passphrase))


def refusal(data: bytes, passphrase: bytes = PASSPHRASE) -> str:
    with pytest.raises(Unopened) as refused:
        opened(data, passphrase)
    assert refused.value.exit_code == 2
    return refused.value.code


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_it_comes_back(size: int) -> None:
    plain = os.urandom(size)
    assert opened(sealed(plain)) == plain


@settings(deadline=None)
@given(st.lists(st.binary(max_size=100), max_size=5))
def test_it_does_not_matter_in_which_pieces_it_came(pieces: list[bytes]) -> None:
    data = b"".join(seal(pieces, PASSPHRASE, entropy=os.urandom, cost=CHEAP))
    assert opened(data) == b"".join(pieces)


def test_two_files_of_the_same_bytes_have_nothing_in_common() -> None:
    first, second = sealed(b"same"), sealed(b"same")
    assert first[23:] != second[23:]
    assert b"same" not in first


def test_the_wrong_passphrase_is_told_apart_from_damage() -> None:
    assert refusal(sealed(b"secret"), b"correct hors") == "wrong_passphrase"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda data: data[:-1],
        lambda data: data[: HEAD + SEALED_CHUNK],
        lambda data: data[:HEAD],
        lambda data: data + b"\x00",
        lambda data: data + data[HEAD:],
        lambda data: data[:HEAD] + data[HEAD + SEALED_CHUNK :],
        lambda data: (
            data[:HEAD]
            + data[HEAD + SEALED_CHUNK : HEAD + 2 * SEALED_CHUNK]
            + data[HEAD : HEAD + SEALED_CHUNK]
            + data[HEAD + 2 * SEALED_CHUNK :]
        ),
    ],
)
def test_what_was_cut_off_added_or_moved_is_found(wrong: Callable[[bytes], bytes]) -> None:
    assert refusal(wrong(sealed(os.urandom(2 * CHUNK_BYTES + 10)))) == "damaged"


@settings(deadline=None)
@given(st.data())
def test_no_byte_can_be_changed(data: st.DataObject) -> None:
    whole = bytearray(sealed(b"twelve bytes"))
    at = data.draw(st.integers(23, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    assert refusal(bytes(whole)) in ("wrong_passphrase", "damaged")


@pytest.mark.parametrize(("ops", "memory_kib"), [(MAX_OPS + 1, 8), (1, MAX_MEMORY_KIB + 1), (1, 2**30), (0, 8), (1, 7)])
def test_a_header_can_not_ask_for_a_terabyte(ops: int, memory_kib: int) -> None:
    whole = sealed(b"")
    hostile = whole[:15] + struct.pack(">II", ops, memory_kib) + whole[23:]
    assert refusal(hostile) == "costs_too_much"


def test_the_cost_in_the_header_is_authenticated() -> None:
    whole = sealed(b"")
    assert refusal(whole[:15] + struct.pack(">II", 2, 8) + whole[23:]) == "wrong_passphrase"


def test_another_version_and_another_file_are_told() -> None:
    whole = sealed(b"")
    assert refusal(whole[:14] + b"\x02" + whole[15:]) == "unknown_version"
    assert refusal(b"SQLite format 3\x00" * 10) == "not_sealed"
    assert refusal(b"") == "not_sealed"


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(UsageError) as refused:
        sealed(b"", b"1234567")
    assert refused.value.code == "weak_passphrase"
