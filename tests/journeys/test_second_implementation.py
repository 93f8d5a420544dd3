"""A client that was written from docs/ alone buys energy from a node, and reads each vector as we do."""

import asyncio
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nacl.bindings import crypto_scalarmult_base
from noise.connection import Keypair

from examples.second_implementation import messages as m
from examples.second_implementation.accept import Acceptor, refused
from examples.second_implementation.bill import Bill
from examples.second_implementation.encoding import decode, encode
from examples.second_implementation.entries import Entry, Session, read_entry
from examples.second_implementation.frames import Signed, read_frame
from examples.second_implementation.keys import (
    EXTERNAL_DATA,
    Identity,
    ProtocolError,
    cose_sign1,
    dial_key,
    identifier,
    is_signed_by,
    x25519_of,
)
from examples.second_implementation.link import (
    PADDING,
    Link,
    handshake,
    read_introduction,
    read_varint,
    seal,
    split_keys,
    unseal,
    varint,
)
from tests.support.commands import environment
from tests.support.processes import Scene, cast, scene, until, world
from v2xnode.devices.plant.cable import CableSpec
from v2xnode.devices.plant.load import LoadSpec
from v2xnode.devices.plant.world import WorldSpec

pytestmark = pytest.mark.timeout(260)

SPEED = 8
ENERGY_WH = 500
LOAD_W, LEAD_MOHM = 3_300, 200
BUY_S = 170.0
SEED = "5e" * 32


async def bought(stage: Scene, *options: str) -> tuple[int, str, str]:
    """The stranger's program, run to its end: exit code, what it printed, what went wrong."""
    address = stage.address("car_b").replace("coap:", "coap://") + "/t"
    words = [sys.executable, "-m", "examples.second_implementation", address, *options]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*words, stdout=pipe, stderr=pipe, env=environment())
    try:
        async with asyncio.timeout(BUY_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, out.decode(), err.decode()


def hungry() -> WorldSpec:
    """The demonstration's world, whose cabin takes nearly all that its outlet gives, over a lead that can carry it."""
    plain = world("")
    return replace(
        plain,
        loads={**plain.loads, "cabin": LoadSpec(power_w=(LOAD_W,))},
        cables={**plain.cables, "extension": CableSpec(resistance_mohm=LEAD_MOHM, standby_w=2)},
    )


def said(printed: str, pattern: str) -> str:
    found = re.search(pattern, printed)
    assert found is not None, f"{pattern!r} is not in {printed!r}"
    return found[1]


@pytest.mark.processes
async def test_a_strangers_client_buys_and_both_books_say_the_same(directory: Path) -> None:
    owner = {"exposure_wh": {"V2L": 100}}
    async with scene(directory, [cast("car_b")], place=hungry(), speed=SPEED, owner=owner) as stage:
        await stage.plug("extension", "car_b.v2l", "cabin.v2l")
        plant = ("--plant", str(directory / "plant.sock"), "--plug", "cabin.v2l", "--speed", str(SPEED))
        code, printed, wrong = await bought(stage, "--energy-wh", str(ENERGY_WH), "--seed", SEED, *plant)
        assert (code, wrong) == (0, ""), printed
        request_id = said(printed, r"Confirmed as ([0-9a-f]{32})")

        def settled() -> bool | None:
            trade = stage.trade("car_b", request_id)
            return (trade is not None and trade.state == "settled") or None

        await until("the provider's books settle", settled)
        trade = stage.trade("car_b", request_id)
        assert trade is not None
        assert trade.last_receipt is not None
        assert trade.last_receipt.agreed_wh == int(said(printed, r"agreed: (\d+) Wh"))
        assert sum(trade.last_receipt.amounts_micro) == int(said(printed, r"amount: (\d+) micro EUR"))
        assert ENERGY_WH - 2 <= trade.last_receipt.agreed_wh <= ENERGY_WH
        assert "verified" in printed
        assert not stage.log("violation")

        code, printed, wrong = await bought(stage, "--seed", SEED)  # the same node in a new epoch, without a cable
        assert (code, wrong) == (0, ""), printed
        trade = stage.trade("car_b", said(printed, r"Confirmed as ([0-9a-f]{32})"))
        assert trade is not None
        assert (trade.state, trade.last_receipt) == ("void", None)
        assert stage.verified("car_b").fault is None


# The vectors, read by the stranger's code

VECTORS = Path(__file__).parents[1] / "vectors"
WRONG = sorted((VECTORS / "wrong").glob("*.json"))
SET_EPHEMERAL = pytest.mark.filterwarnings("ignore:One of ephemeral keypairs is already set:UserWarning")
hexed = bytes.fromhex


def vectors(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text())


KEYS: dict[str, Identity] = {who: Identity(hexed(each["seed"])) for who, each in vectors("keys").items()}
CLIENT, PROVIDER = KEYS["client"], KEYS["provider"]
KINDS: dict[str, int] = {each["name"]: each["type"] for each in vectors("messages")}


def test_keys_and_identifiers() -> None:
    assert [KEYS[who].public.hex() for who in KEYS] == [each["public"] for each in vectors("keys").values()]
    for each in vectors("identifiers"):
        assert identifier(hexed(each["key"]), hexed(each["random"])).hex() == each["identifier"]


@pytest.mark.parametrize("each", vectors("messages"), ids=lambda each: each["name"])
def test_messages_have_one_form(each: dict[str, Any]) -> None:
    assert m.full(each["type"], m.parse_bytes(each["type"], hexed(each["map"]))).hex() == each["map"]


@pytest.mark.parametrize("each", vectors("signed"), ids=lambda each: each["name"])
def test_signed_messages(each: dict[str, Any]) -> None:
    signer = hexed(each["signer"])
    receiver = (CLIENT if signer == PROVIDER.public else PROVIDER).public
    request_id = hexed(vectors("entries")["request_id"])
    (found,) = read_frame(hexed(each["frame"]), Session(signer, b"", receiver, request_id))
    assert isinstance(found, Signed)
    assert (found.payload.hex(), found.hash.hex()) == (each["payload"], each["hash"])
    assert EXTERNAL_DATA[found.kind].decode() == each["external_data"]
    assert cose_sign1(found.payload, found.signature).hex() == each["cose_sign1"]
    again = (CLIENT if signer == CLIENT.public else PROVIDER).sign(found.payload, EXTERNAL_DATA[found.kind])
    assert again == found.signature
    assert encode([found.item()]).hex() == each["frame"]


def test_entries_full_and_brief() -> None:
    book = vectors("entries")
    sessions = {
        node.public: Session(node.public, b"", other.public, hexed(book["request_id"]))
        for node, other in ((CLIENT, PROVIDER), (PROVIDER, CLIENT))
    }
    sessions[CLIENT.public].said.append(hexed(book["entries"][0]["answers"]))  # the offer
    for each in book["entries"]:
        session = sessions[hexed(each["node"])]
        session.epoch = hexed(each["epoch"])
        session.held.setdefault(each["seq"] - 1, hexed(each["prev"]))
        (full,), (brief,) = (read_frame(hexed(each[form]), session) for form in ("frame_full", "frame_brief"))
        assert isinstance(full, Entry)
        assert full == brief
        parts = (full.payload, full.hash, full.cose, full.salt, full.body)
        assert [part.hex() for part in parts] == [each[n] for n in ("payload", "hash", "cose_sign1", "salt", "body")]
        assert encode([full.item()]).hex() == each["frame_full"]
        assert encode([full.item(prev=False, answers=False)]).hex() == each["frame_brief"]
        sessions[session.receiver].said.append(full.hash)


@pytest.mark.parametrize("each", vectors("settlement"), ids=lambda each: each["name"])
def test_what_it_costs(each: dict[str, Any]) -> None:
    opening = each["opening"]
    offer = m.parse_bytes(m.OFFER, hexed(each["offer"]))
    bill = Bill(offer, opening["end_at_ms"], opening["provider_wh"], opening["client_wh"])
    for interval in each["intervals"]:
        counted = bill.count(interval["end_at_ms"], interval["provider_wh"], interval["client_wh"])
        assert counted.agreed_wh == interval["agreed_wh"]
        assert counted.amounts_micro == interval["amounts_micro"]
        assert counted.disputed is (interval["result"] == "dispute")


@pytest.mark.parametrize("each", vectors("records"), ids=lambda each: str(each["counter"]))
def test_records(each: dict[str, Any]) -> None:
    key, plaintext = hexed(each["key"]), hexed(each["plaintext"])
    assert seal(key, each["link_id"], each["counter"], plaintext).hex() == each["record"]
    assert unseal(key, hexed(each["record"])) == (each["link_id"], each["counter"], plaintext)


def ephemeral(first: int, public: bytes) -> bytes:
    """The secret behind an ephemeral key: eight counted numbers, from one of the first three draws' places on."""
    for skipped in range(3):
        secret = b"".join((first * 65_536 + skipped + each).to_bytes(4, "big") for each in range(8))
        if crypto_scalarmult_base(secret) == public:
            return secret
    raise AssertionError("This key was drawn in another way.")


XX_ACCEPTOR = 23


def replay(pattern: str, client_draws: int) -> None:
    """Both sides again, from the keys alone: every frame comes out as it stands, and opens to what it says."""
    frames = vectors(f"handshake_{pattern.lower()}")["frames"]
    noises = {"client": handshake(pattern, CLIENT, True), "provider": handshake(pattern, PROVIDER, False)}
    for who, first in (("client", client_draws), ("provider", XX_ACCEPTOR)):
        public = hexed(next(each["frame"] for each in frames if each["from"] == who))[1:33]
        noises[who].set_keypair_from_private_bytes(Keypair.EPHEMERAL, ephemeral(first, public))
        if pattern == "IK" and who == "client":
            noises[who].set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, x25519_of(PROVIDER.public))
        noises[who].start_handshake()
    keys: dict[str, bytes] = {}
    counters = {"client": 0, "provider": 0}
    for each in frames:
        who, frame, payload = each["from"], hexed(each["frame"]), hexed(each["payload"])
        if each["kind"] == "record":
            if not keys:
                keys = dict(zip(("client", "provider"), split_keys(noises["client"], initiator=True), strict=True))
            link_id, counter, found = unseal(keys[who], frame)
            assert (counter, found) == (counters[who], payload)
            assert seal(keys[who], link_id, counter, found) == frame
            counters[who] += 1
            continue
        head = 1 + (len(varint(read_varint(frame[1:])[0])) if each["kind"] == "XX3" else 0)
        said = noises["provider" if who == "client" else "client"].read_message(frame[head:])
        if each["kind"] == "XX1":
            assert said == PADDING
        else:
            sign_bit, _, found = read_introduction(bytes(said))
            assert (sign_bit, found) == (KEYS[who].sign_bit, payload)
        assert frame[:head] + bytes(noises[who].write_message(bytes(said))) == frame


@SET_EPHEMERAL
@pytest.mark.parametrize(("pattern", "draws"), [("IK", 21), ("XX", 22)])
def test_handshakes(pattern: str, draws: int) -> None:
    replay(pattern, draws)


# What is wrong is refused, and for no other reason than what is wrong with it


def wire_entry(given: dict[str, Any]) -> Entry:
    """The vectors' entries are a ledger's, with the peer's key in the body; a frame's leave it out."""
    item, said = decode(hexed(given["wire"])), [hexed(given[name]) for name in ("expected_answers",) if name in given]
    if isinstance(item, list) and len(item) > 4:
        item[4] = encode({key: value for key, value in decode(item[4]).items() if key != 0})
    session = Session(hexed(given["node"]), hexed(given["epoch"]), PROVIDER.public, hexed(given["request_id"]))
    session.said = said
    return read_entry(item, session)


def introduced(given: dict[str, Any]) -> object:
    return read_introduction(hexed(given["bytes"]))


def dialled(given: dict[str, Any]) -> object:
    """What may be dialled is what converts to an X25519 key and back, and is not the client itself."""
    return dial_key(hexed(given["remote"]), CLIENT.public)


def opened(given: dict[str, Any]) -> object:
    link = Link(b"", b"", hexed(given["key"]), 0, given["link_id"])
    *before, last = map(hexed, given["records"])
    for record in before:
        link.unseal(record)
    return link.unseal(last)


def shaken(given: dict[str, Any]) -> object:
    public = hexed(vectors("handshake_xx")["frames"][1]["frame"])[1:33]
    if not refused(PROVIDER, XX_LINK_ID, ephemeral(XX_ACCEPTOR, public), list(map(hexed, given["frames"]))):
        return "answered"
    raise ProtocolError("silence")


XX_LINK_ID = read_varint(hexed(vectors("handshake_xx")["frames"][2]["frame"])[1:])[0]


def genuine(given: dict[str, Any]) -> object:
    payload, signature, signer = (hexed(given[name]) for name in ("payload", "signature", "signer"))
    if is_signed_by(signer, payload, EXTERNAL_DATA[KINDS[given["kind"]]], signature):
        return payload
    raise ProtocolError("not signed")


def framed(given: dict[str, Any]) -> object:
    session = Session(CLIENT.public, hexed(given["epoch"]), PROVIDER.public, hexed(given["request_id"]))
    return read_frame(hexed(given["frame"]), session)


READERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "cbor": lambda given: decode(hexed(given["bytes"])),
    "dial": dialled,
    "entry": wire_entry,
    "frame": framed,
    "handshake": shaken,
    "introduction": introduced,
    "message": lambda given: m.parse_bytes(KINDS[given["name"]], hexed(given["map"])),
    "record": opened,
    "signed": genuine,
    "varint": lambda given: read_varint(hexed(given["bytes"])),
}


@SET_EPHEMERAL
@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_what_is_wrong_is_refused(path: Path) -> None:
    vector = json.loads(path.read_text())
    with pytest.raises(ProtocolError):
        READERS[vector["layer"]](vector["given"])


@SET_EPHEMERAL
def test_what_is_right_passes_the_same_readers() -> None:
    book = vectors("entries")
    first = book["entries"][0]
    item = [2, first["seq"], *(hexed(first[name]) for name in ("prev", "answers", "body", "signature"))]
    given = {name: first[name] for name in ("node", "epoch")} | {"request_id": book["request_id"]}
    assert wire_entry(given | {"wire": encode(item).hex()}).hash.hex() == first["hash"]
    for pattern in ("ik", "xx"):
        frames = [each for each in vectors(f"handshake_{pattern}")["frames"] if each["kind"] != "record"]
        said = [each["frame"] for each in frames if each["from"] == "client"]
        assert shaken_to_the_end(said)
    assert dialled({"remote": PROVIDER.public.hex()})


def shaken_to_the_end(frames: list[str]) -> bool:
    public = hexed(vectors("handshake_xx")["frames"][1]["frame"])[1:33]
    acceptor = Acceptor(PROVIDER, XX_LINK_ID, ephemeral(XX_ACCEPTOR, public))
    for frame in frames:
        acceptor.hear(hexed(frame))
    return acceptor.link is not None and acceptor.link.peer == CLIENT.public
