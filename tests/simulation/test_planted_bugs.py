"""Bugs planted on purpose: the simulation has to find each of them, or it proves nothing."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from market.delivery import ClientDelivery, ProviderDelivery, Stage
from market.delivery import account as accounts
from market.machine import Append, Received
from market.terms import Receipt
from tests.simulation.disk import Disk, Synchronous
from tests.simulation.run import Outcome, play
from tests.simulation.world import World, plan
from v2xnode.trading.books import Verdict
from v2xnode.trading.owner import Owner

WITHIN = 2_000
"""Seeds within which each has to be found; it takes some dozens."""


def found(synchronous: Synchronous = Synchronous.FULL) -> Outcome:
    """The first seed that shows something broken."""
    for seed in range(1, WITHIN + 1):
        outcome = play(seed, lambda seed: World(seed, plan(seed), synchronous))
        if outcome.broken:
            return outcome
    raise AssertionError(f"not found within {WITHIN} seeds")


def test_a_commit_that_returns_before_it_is_synced_loses_what_was_told() -> None:
    assert "is lost" in found(Synchronous.NORMAL).broken


def test_what_is_told_before_it_is_written_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest commit reaches the disk only with the next one: everybody has heard of it by then."""
    before: dict[int, bytes] = {}

    def committed(disk: Disk, connection: Any) -> None:
        before[id(disk)], disk.image = disk.image, connection.serialize()

    def lose(disk: Disk, connection: Any) -> None:
        disk.image = before.get(id(disk)) or connection.serialize()

    monkeypatch.setattr(Disk, "committed", committed)
    monkeypatch.setattr(Disk, "lose_process", lose)
    monkeypatch.setattr(Disk, "lose_power", lose)
    assert found().broken


def test_a_lock_forgotten_at_the_confirm_promises_the_same_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Owner.recheck

    def forgetful(*asked: Any) -> Verdict:
        return replace(honest(*asked), locks=())

    monkeypatch.setattr(Owner, "recheck", forgetful)
    assert found().broken


def test_a_stop_that_is_not_latched_lets_power_flow_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def begin_again(machine: Any) -> Sequence[Any]:
        machine._enter(Stage.AGREED)
        machine._account = accounts.Account(machine._offer)
        return machine._say_ready() if isinstance(machine, ClientDelivery) else ()

    monkeypatch.setattr(ClientDelivery, "_path_is_off", begin_again)
    monkeypatch.setattr(ProviderDelivery, "_path_is_off", begin_again)
    assert found().broken


def test_a_receipt_that_nothing_is_linked_to_breaks_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider's next entry answers what it answered before, and the Receipt stands alone."""
    honest = ProviderDelivery._receipt

    def unlinked(machine: ProviderDelivery, event: Received[Receipt]) -> Sequence[Any]:
        before = machine._peer_digest
        effects = honest(machine, event)
        machine._peer_digest = before
        return [replace(each, answers=before) if isinstance(each, Append) else each for each in effects]

    steps = {key: unlinked if step is honest else step for key, step in ProviderDelivery.STEPS.items()}
    monkeypatch.setattr(ProviderDelivery, "STEPS", steps)
    assert "invariant 4" in found().broken
