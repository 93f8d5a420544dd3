"""The meter's key: its forms are those that others read, and its file is looked after like the node's."""

from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ledger.errors import BadSignature
from ledger.keys.meter_key import check_meter_key
from v2xnode.errors import LocalError
from v2xnode.meter_key import METER_KEY_FILE, MeterKey, create_meter_key, load_meter_key

KEY = MeterKey.from_secret(b"\x07" * 32)
ECDSA = ec.ECDSA(hashes.SHA256())


def public() -> ec.EllipticCurvePublicKey:
    key = load_der_public_key(KEY.spki)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def test_the_point_and_the_der_are_one_key() -> None:
    assert ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), KEY.point) == public()
    assert (len(KEY.point), KEY.point[0]) == (65, 4)


def test_a_signature_is_over_these_bytes_and_the_same_each_time() -> None:
    signature = KEY.sign(b"data")
    public().verify(signature, b"data", ECDSA)
    assert KEY.sign(b"data") == signature
    with pytest.raises(InvalidSignature):
        public().verify(signature, b"date", ECDSA)


def test_it_agrees_to_belong_to_one_node() -> None:
    bound = KEY.bound_to(b"n" * 32)
    check_meter_key(b"n" * 32, bound)
    assert bound.point == KEY.point
    with pytest.raises(BadSignature):
        check_meter_key(b"m" * 32, bound)


def test_a_made_key_is_read_again_and_never_made_twice(tmp_path: Path) -> None:
    assert load_meter_key(tmp_path) is None
    made = create_meter_key(tmp_path)
    read = load_meter_key(tmp_path)
    assert read is not None
    assert read.point == made.point
    assert (tmp_path / METER_KEY_FILE).stat().st_mode & 0o777 == 0o600
    with pytest.raises(LocalError) as refusal:
        create_meter_key(tmp_path)
    assert refusal.value.code == "key_exists"


@pytest.mark.parametrize("text", ["ff" * 32, "00" * 32, "00", "no digits"])
def test_a_number_that_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    create_meter_key(tmp_path)
    (tmp_path / METER_KEY_FILE).write_text(text)
    with pytest.raises(LocalError) as refusal:
        load_meter_key(tmp_path)
    assert refusal.value.code == "key_damaged"


def test_where_none_can_be_made_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(LocalError) as refusal:
        create_meter_key(tmp_path / "nowhere")
    assert refusal.value.code == "key_missing"


def test_it_does_not_show_its_secret() -> None:
    assert repr(KEY) == "MeterKey()"
