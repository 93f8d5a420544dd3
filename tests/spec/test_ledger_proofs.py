"""The proofs' vectors hold as docs/ledger.md says they are checked, by another hand than the one that made them."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import VerifyKey

VECTOR: Any = json.loads((Path(__file__).resolve().parent.parent / "vectors" / "proofs.json").read_text())
LEAVES = [hashlib.sha256(b"\x00" + bytes.fromhex(each)).digest() for each in VECTOR["payloads"]]
ROOTS = [bytes.fromhex(each) for each in VECTOR["roots"]]


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: list[bytes]) -> bytes:
    """As RFC 9162, 2.1.1, defines it."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    split = 1
    while 2 * split < len(leaves):
        split *= 2
    return node(root(leaves[:split]), root(leaves[split:]))


@pytest.mark.parametrize("size", range(len(ROOTS)))
def test_roots(size: int) -> None:
    assert root(LEAVES[:size]) == ROOTS[size]


def up(f: int, s: int) -> tuple[int, int]:
    while f and f % 2 == 0:
        f, s = f // 2, s // 2
    return f, s


@pytest.mark.parametrize("case", VECTOR["inclusion"], ids=lambda case: f"{case['index']}in{case['size']}")
def test_inclusion_as_the_page_says(case: Any) -> None:
    f, s, r = case["index"], case["size"] - 1, LEAVES[case["index"]]
    for p in map(bytes.fromhex, case["proof"]):
        assert s > 0
        if f % 2 or f == s:
            r = node(p, r)
            f, s = up(f, s)
        else:
            r = node(r, p)
        f, s = f // 2, s // 2
    assert (s, r) == (0, ROOTS[case["size"]])


@pytest.mark.parametrize("case", VECTOR["consistency"], ids=lambda case: f"{case['old']}to{case['size']}")
def test_consistency_as_the_page_says(case: Any) -> None:
    m, n, proof = case["old"], case["size"], [bytes.fromhex(each) for each in case["proof"]]
    if m in (0, n):
        assert proof == []
        return
    if m & (m - 1) == 0:
        proof = [ROOTS[m], *proof]
    f, s = m - 1, n - 1
    while f % 2:
        f, s = f // 2, s // 2
    x = y = proof[0]
    for p in proof[1:]:
        assert s > 0
        if f % 2 or f == s:
            x, y = node(p, x), node(p, y)
            f, s = up(f, s)
        else:
            y = node(y, p)
        f, s = f // 2, s // 2
    assert (s, x, y) == (0, ROOTS[m], ROOTS[n])


def test_the_checkpoint_as_the_page_says() -> None:
    text, _, below = VECTOR["checkpoint"].rpartition("\n\n")
    origin, size, encoded = text.split("\n")
    assert origin.split("/")[:3] == ["v2x-trade", "1", VECTOR["node"]]
    assert b64decode(encoded) == ROOTS[int(size)]
    text = (text + "\n").encode()
    said = dict(line.removeprefix("— ").split(" ") for line in below.strip().split("\n"))
    for name, kind, key in ((origin, 1, VECTOR["node"]), (f"v2x-trade/1/{VECTOR['witness']}", 4, VECTOR["witness"])):
        public, data = bytes.fromhex(key), b64decode(said[name])
        assert data[:4] == hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]
        if kind == 1:
            VerifyKey(public).verify(text, data[4:])
        else:
            assert int.from_bytes(data[4:12], "big") == VECTOR["cosigned_at_s"]
            prefix = f"cosignature/v1\ntime {VECTOR['cosigned_at_s']}\n".encode()
            VerifyKey(public).verify(prefix + text, data[12:])
