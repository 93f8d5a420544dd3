"""What docs/protocol.md says of a session in words and numbers, against the code's own."""

import re
from enum import Enum
from pathlib import Path

import pytest

from market.delivery import agreement, client, provider, stages
from market.errors import Reason
from market.negotiation import client as asking
from market.negotiation import provider as answering
from transports import records
from transports.coap import observers, settings
from v2xnode import envelope
from v2xnode.links import ends
from v2xnode.trading import delivering, selling, shop

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text()
PAGE = re.sub(r"\s+", " ", TEXT)
SECONDS = 1_000


def states_under(title: str) -> list[str]:
    """The states in the first column of a section's table, in order."""
    section = TEXT.split(f"### {title}\n", 1)[1].split("### ", 1)[0]
    return re.findall(r"^\| ([A-Z]{4,}) \|", section, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("title", "enum", "unseen"),
    [
        # what nobody outside can tell from the state before it
        ("The provider until there is an agreement", answering.ProviderStage, {"COUNTERED", "DECIDING", "WITHDRAWING"}),
        ("The client until there is an agreement", asking.ClientStage, {"VOIDING", "AGREED", "ENDED"}),
        ("The delivery, both sides", stages.Stage, set()),
    ],
    ids=["provider", "client", "delivery"],
)
def test_each_state_has_its_row(title: str, enum: type[Enum], unseen: set[str]) -> None:
    assert states_under(title) == [each.name for each in enum if each.name not in unseen]


@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.name)
def test_each_reason_has_its_sentence(reason: Reason) -> None:
    neutral = f"{int(reason.for_peer)} " if reason.for_peer is not reason else ""
    assert f"| {int(reason)} | {reason.sentence} | {neutral}|" in PAGE


@pytest.mark.parametrize(
    "told",
    [
        f"A Start counts for {client.FRESH_START_MS // SECONDS} s after its Ready",
        f"after {client.FRESH_START_MS // SECONDS} s without its Start",
        f"no later reading after {client.INTERPOLATION_WAIT_MS // SECONDS} s the newest counts",
        f"the longer of {client.GONE_MS // SECONDS} s and {client.GONE_PERIODS} periods",
        f"waits up to {provider.READING_MS // SECONDS} s for the register",
        f"at most {provider.STALE_STATUSES} Statuses old",
        f"{stages.CLOSE_WAIT_MS // SECONDS} s without a Close: writes its own",
        f"again each period ({stages.MIN_STOP_REPEAT_MS // SECONDS} s at least)",
        f"min({agreement.MAX_GRACE_MS // SECONDS} s, `interval_ms` / 4)",
        f"the last one, or {asking.COLLECT_MS // SECONDS} s are over",
        f"nothing for {asking.ANSWER_MS // SECONDS} s, the Accept being repeated",
        f"At most {answering.MAX_ACCEPTS} Accepts of one request are answered, at most {selling.MAX_ENTRIES} entries",
        f"at most {shop.MAX_REQUESTS_OF_PEER} requests of one peer",
        f"a side keeps at most {delivering.MAX_UNANSWERED} in a session",
        f"a window of {records.REPLAY_WINDOW} records; a link ends after 2^20 records",
        f"at least each {observers.CONFIRM_EVERY}th confirmable",
        f"a random leisure of up to {settings.LEISURE_MS} ms",
        f"the question's own deadline ({ends.REQUEST_TIMEOUT_MS // SECONDS} s)",
        f"a CBOR array of at most {envelope.MAX_ITEMS} items",
        f"at most {envelope.MAX_FRAME_BYTES:,} bytes",
    ],
)
def test_each_bound_is_the_codes(told: str) -> None:
    assert told in PAGE


def test_the_bounds_that_are_words() -> None:
    assert records.MAX_RECORDS == 1 << 20
    assert stages.SILENT_PERIODS == 3
    assert "Three periods without a fresh Alive" in PAGE
    assert envelope.MAX_SAID == 4
    assert "must try its newest four" in PAGE
