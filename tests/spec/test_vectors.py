"""The vectors are what the code makes, and what it reads."""

import json
from pathlib import Path
from typing import Any

import pytest

from ledger import cbor
from market.terms import MESSAGES, MessageType, from_map, type_of
from tests.spec.trade import CLIENT, PROVIDER, REQUEST_ID
from tests.spec.vectors import FOLDER, files, plain, text_of
from tests.spec.wrong import code_of
from v2xnode.envelope import Link, Reading, read, unpack

WRONG = sorted((FOLDER / "wrong").glob("*.json"))


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def test_the_files_are_those_that_the_generator_makes() -> None:
    made = {name: text_of(content) for name, content in files().items()}
    kept = {str(path.relative_to(FOLDER)): path.read_text() for path in FOLDER.rglob("*.json")}
    assert kept.keys() == made.keys()
    assert [name for name in made if kept[name] != made[name]] == []


def test_every_type_of_message_has_a_vector() -> None:
    assert {each["type"] for each in load("messages.json")} == {int(kind) for kind in MESSAGES}


@pytest.mark.parametrize("vector", load("messages.json"), ids=lambda each: each["name"])
def test_a_message_is_read_from_its_map(vector: Any) -> None:
    message = from_map(MESSAGES[MessageType(vector["type"])], cbor.decode(bytes.fromhex(vector["map"])))
    assert plain(message) == vector["fields"]
    assert type_of(message).name == vector["name"]


@pytest.mark.parametrize("form", ["frame_full", "frame_brief"])
def test_an_entry_is_rebuilt_from_either_form(form: str) -> None:
    told: dict[str, Any] = load("entries.json")
    said = {CLIENT.public: [], PROVIDER.public: [bytes.fromhex(load("signed.json")[1]["hash"])]}
    for vector in told["entries"]:
        node = bytes.fromhex(vector["node"])
        other = CLIENT.public if node == PROVIDER.public else PROVIDER.public
        prev = bytes.fromhex(vector["prev"])
        context = Reading(
            other, node, bytes.fromhex(vector["epoch"]), REQUEST_ID, lambda *_, prev=prev: prev, said[other][::-1]
        )
        [raw] = unpack(bytes.fromhex(vector[form]))
        entry = read(raw, context)
        assert isinstance(entry, Link)
        assert entry.digest.hex() == vector["hash"]
        assert entry.signed.cose.hex() == vector["cose_sign1"]
        said[node].append(entry.digest)


def test_the_brief_forms_are_brief() -> None:
    for vector in load("entries.json")["entries"]:
        assert len(vector["frame_brief"]) <= len(vector["frame_full"]) - 2 * 64


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_what_is_wrong_is_refused_with_its_code(path: Path) -> None:
    vector = json.loads(path.read_text())
    assert vector["code"]
    assert code_of(vector["layer"], vector["given"]) == vector["code"]


def test_no_identity_crosses_the_air_in_clear() -> None:
    for name in ("handshake_ik.json", "handshake_xx.json"):
        for frame in load(name)["frames"]:
            for who in (PROVIDER, CLIENT):
                assert who.public.hex() not in frame["frame"]
