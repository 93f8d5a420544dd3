"""Bugs planted on purpose: the simulation has to find each of them, or it proves nothing."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from market.delivery import ProviderDelivery, Stage, SuspendPath
from market.delivery.shared import Delivery
from market.errors import Reason
from market.machine import Append, Received
from market.terms import Receipt
from tests.simulation.disk import Disk, Synchronous
from tests.simulation.plan import troubled
from tests.simulation.run import Make, play
from tests.simulation.world import World
from v2xnode.envelope import Letter, Link
from v2xnode.trading.books import Books, Verdict
from v2xnode.trading.owner import Owner
from v2xnode.trading.walk import Walk

WITHIN = 2_000
"""Seeds within which each has to be found; the rarest takes some dozens."""
TOLD_AHEAD_S = 0.5
"""By how much the word is ahead of the deed where sending comes before appending."""


def worlds(*kinds: str, disks: Callable[[], Disk] = Disk) -> Make:
    """Worlds with such troubles only, so that a bug shows soon."""
    return lambda seed: World(seed, troubled(seed, kinds), disks)


def find(broken: str, of: Make) -> int:
    """The first seed that shows this."""
    for seed in range(1, WITHIN + 1):
        if broken in play(seed, of).broken:
            return seed
    raise AssertionError(f"not found within {WITHIN} seeds")


def test_a_commit_that_returns_before_it_is_synced_loses_what_was_told() -> None:
    seed = find("invariant 2", worlds("power_loss_at_commit", disks=lambda: Disk(Synchronous.NORMAL)))
    assert not play(seed, worlds("power_loss_at_commit")).broken


class TalkativeDisk(Disk):
    """What is told is written a moment later. A process that dies in between has said what it will not remember."""

    writing: asyncio.TimerHandle | None = None

    def committed(self, connection: sqlite3.Connection) -> None:
        image = connection.serialize()
        self.writing = asyncio.get_running_loop().call_later(TOLD_AHEAD_S, setattr, self, "image", image)

    def lose_process(self, connection: sqlite3.Connection) -> None:
        if self.writing is None:  # nothing was told yet
            Disk.lose_process(self, connection)
        else:
            self.writing.cancel()

    lose_power = lose_process


def test_what_is_told_before_it_is_written_is_lost() -> None:
    seed = find("invariant 2", worlds("kill_at_commit", "kill", disks=TalkativeDisk))
    assert not play(seed, worlds("kill_at_commit", "kill")).broken


def test_a_lock_forgotten_at_the_confirm_promises_the_same_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Owner.recheck

    def forgetful(*asked: Any) -> Verdict:
        return replace(honest(*asked), locks=())

    with monkeypatch.context() as planted:
        planted.setattr(Owner, "recheck", forgetful)
        seed = find("sold twice", worlds("bad_air"))
    assert not play(seed, worlds("bad_air")).broken


def test_a_stop_that_is_not_latched_lets_power_flow_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by the machine nor by the power path: the owner's Stop is a pause, and a pause that nobody wants ends."""
    stop, cut = Delivery._stop, Walk.cut
    by_owner = (Reason.STOPPED_BY_OWNER, Reason.STOPPED_BY_PEER)

    def paused(machine: Any, reason: Reason, *, tell: bool) -> Sequence[Any]:
        if reason not in by_owner:
            return stop(machine, reason, tell=tell)
        machine._enter(Stage.PAUSED)
        return (SuspendPath(), *(machine._tell_stop() if tell else ()))

    async def suspended(walk: Walk, reason: Reason) -> None:
        await (walk.suspend() if reason in by_owner else cut(walk, reason))

    with monkeypatch.context() as planted:
        planted.setattr(Delivery, "_stop", paused)
        planted.setattr(Walk, "cut", suspended)
        seed = find("after it was stopped", worlds("stop"))
    assert not play(seed, worlds("stop")).broken


def test_a_receipt_that_is_not_linked_into_the_ledger_is_missed_after_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The provider counts it, keeps no entry of it, and answers what it answered before."""
    honest, receive = ProviderDelivery._receipt, Books.receive

    def unlinked(machine: ProviderDelivery, event: Received[Receipt]) -> Sequence[Any]:
        before = machine._peer_digest
        effects = honest(machine, event)
        machine._peer_digest = before
        return [replace(each, answers=before) if isinstance(each, Append) else each for each in effects]

    async def forgetful(books: Books, item: Link, letters: Sequence[Letter] = ()) -> bool:
        return isinstance(item.message, Receipt) or await receive(books, item, letters)

    with monkeypatch.context() as planted:
        steps = {key: unlinked if step is honest else step for key, step in ProviderDelivery.STEPS.items()}
        planted.setattr(ProviderDelivery, "STEPS", steps)
        planted.setattr(Books, "receive", forgetful)
        seed = find("invariant", worlds("kill"))
    assert not play(seed, worlds("kill")).broken
