"""The grammar of the protocol against the vectors."""

import json
import re
from pathlib import Path
from typing import Any

import pycddl
import pytest

from ledger import cbor
from ledger.message import MessageKind, SignedMessage
from tests.spec.vectors import FOLDER
from v2xnode.envelope import MAX_FRAME_BYTES, MAX_ITEMS

GRAMMAR = (Path(__file__).resolve().parents[2] / "docs" / "protocol.cddl").read_text()


def rule(name: str) -> pycddl.Schema:
    """The grammar with this rule as its root."""
    return pycddl.Schema(f"start-here = {name}\n" + re.sub(r"^root = .*$", "", GRAMMAR, flags=re.MULTILINE))


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def matches(name: str, data: str) -> bool:
    try:
        rule(name).validate_cbor(bytes.fromhex(data))
    except pycddl.ValidationError:
        return False
    return True


def is_frame(data: str) -> bool:
    """Each item by itself: pycddl lets any array pass for one whose members are choices."""
    value = cbor.decode(bytes.fromhex(data), max_bytes=MAX_FRAME_BYTES)
    if not isinstance(value, list):
        return matches("frame", data)
    return len(value) <= MAX_ITEMS and all(matches("item", cbor.encode(item).hex()) for item in value)


@pytest.mark.parametrize("vector", load("messages.json"), ids=lambda each: each["name"])
def test_each_message_matches_its_rule(vector: Any) -> None:
    assert matches(vector["name"].replace("_", "-").lower(), vector["map"])


def test_entries_and_signed_messages_match() -> None:
    for vector in load("entries.json")["entries"]:
        assert matches("entry-payload", vector["payload"])
        assert matches("cose-sign1", vector["cose_sign1"])
        assert is_frame(vector["frame_full"])
        assert is_frame(vector["frame_brief"])
    for vector in load("signed.json"):
        assert matches("signed-payload", vector["payload"])
        assert is_frame(vector["frame"])


def test_vouchers_and_their_issuers_match_and_are_signed_as_told() -> None:
    told = load("vouchers.json")
    for vector, form, kind in (
        *((each, "voucher", MessageKind.VOUCHER) for each in told["vouchers"]),
        (told["issuers"], "issuer-list", MessageKind.ISSUERS),
    ):
        signer, payload, signature = (bytes.fromhex(vector[name]) for name in ("signer", "payload", "signature"))
        SignedMessage(kind, signer, payload, signature).check()
        assert matches(form, vector["payload"])
        assert matches("cose-sign1", vector["cose_sign1"])


@pytest.mark.parametrize("name", ["handshake_ik.json", "handshake_xx.json"])
def test_frames_of_a_handshake_match(name: str) -> None:
    for frame in load(name)["frames"]:
        assert not frame["payload"] or is_frame(frame["payload"])
    assert is_frame("f4")
    assert not is_frame("f5")


RULES_BETWEEN_FIELDS = {
    "message_least_above_wanted",
    "message_fixed_price_in_two_steps",
    "message_reference_meter_of_the_wrong_side",
}
"""Valid in form, wrong in meaning."""


@pytest.mark.parametrize("path", sorted((FOLDER / "wrong").glob("message_*.json")), ids=lambda path: path.stem)
def test_a_wrong_message_does_not_match_unless_only_its_meaning_is_wrong(path: Path) -> None:
    given = json.loads(path.read_text())["given"]
    assert matches(given["name"].lower(), given["map"]) is (path.stem in RULES_BETWEEN_FIELDS)


WHAT_A_RECEIVER_PUTS_BACK = {
    "frame_body_that_names_the_receiver",
    "frame_receivers_key_spelled_out",
    "frame_request_id_spelled_out",
}
"""One rule describes a message as signed and as sent, where these fields are left out."""


@pytest.mark.parametrize("path", sorted((FOLDER / "wrong").glob("frame_*.json")), ids=lambda path: path.stem)
def test_a_wrong_frame_does_not_match(path: Path) -> None:
    valid = path.stem in WHAT_A_RECEIVER_PUTS_BACK or path.stem == "frame_refused_by_the_peer"
    assert is_frame(json.loads(path.read_text())["given"]["frame"]) is valid
