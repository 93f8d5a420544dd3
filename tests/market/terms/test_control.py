"""Twin of market/terms/control.py. Bounds and maps of all messages: test_messages.py."""

import pytest

from market.errors import TermsInvalid
from market.terms import Head, Hello, Plug, PlugStep, from_map, to_map
from tests.market.world import ELECTRICAL

EPOCH = bytes(range(8))
HELLO = Hello(electrical=ELECTRICAL, epoch=EPOCH)


@pytest.mark.parametrize(("step", "ready"), [(step, step is not PlugStep.PATTERN) for step in PlugStep])
def test_a_plug_is_ready_once_it_is_verified(step: PlugStep, ready: bool) -> None:
    assert Plug(1, 1, step, 77).ready is ready


def test_the_newest_entry_is_an_epoch_and_a_number() -> None:
    held = Hello(electrical=ELECTRICAL, epoch=EPOCH, holds=(Head(EPOCH[:4], 12),))
    assert to_map(held)[5] == [EPOCH[:4], 12]
    assert from_map(Hello, to_map(held)) == held


def test_a_first_greeting_says_as_little_as_it_can() -> None:
    assert sorted(to_map(HELLO)) == [2, 4]


@pytest.mark.parametrize("holds", [[EPOCH], [EPOCH, 1, 2], [b"short", 1], [EPOCH, -1], EPOCH, None])
def test_a_head_that_is_none_is_refused(holds: object) -> None:
    with pytest.raises(TermsInvalid):
        from_map(Hello, {**to_map(HELLO), 5: holds})


@pytest.mark.parametrize("holds", [(Head(EPOCH[:4], 1),) * 2, (EPOCH, 1), [], None])
def test_a_greeting_holds_one_head_at_most(holds: object) -> None:
    with pytest.raises(TermsInvalid):
        Hello(electrical=ELECTRICAL, epoch=EPOCH, holds=holds)  # type: ignore[arg-type]


@pytest.mark.parametrize("electrical", [{}, {0: [1], 1: [1], 2: 0, 3: 0, 4: 0}, None, 5])
def test_an_electrical_record_is_read_strictly(electrical: object) -> None:
    with pytest.raises(TermsInvalid):
        from_map(Hello, {**to_map(HELLO), 2: electrical})
