"""Delivery machines brought to a stage by legal steps only, samples of every event, and what a refusal must keep."""

from collections.abc import Callable, Sequence
from typing import Any

from market.delivery import (
    ClientDelivery,
    CutPower,
    OwnerLimit,
    OwnerPause,
    OwnerStop,
    OwnPlug,
    PathEnded,
    PathPrepared,
    Plugged,
    ProviderDelivery,
    PushStatus,
    Reading,
    Restart,
    Stage,
)
from market.delivery.registers import Registers
from market.errors import Reason
from market.machine import Append, LedgerFailed, LinkLost, LinkResumed, Received, Recorded, Tell, Tick
from market.terms import (
    Alive,
    Close,
    Closed,
    Confirm,
    Dispute,
    EntryBody,
    Interval,
    Offer,
    Pause,
    Plug,
    PlugStep,
    PowerLimit,
    PowerState,
    Ready,
    Receipt,
    Start,
    Status,
    Stop,
    Void,
)
from tests.support.market_terms import CLIENT, PROVIDER, agreement, counted_nonces, digest, offer

Machine = ProviderDelivery | ClientDelivery
AT_S = 1_700_000_000
AT_MS = AT_S * 1_000
SEQ = 1_000
"""A control number above all that came before."""


class Played:
    """A machine and what came out of it, with a peer that says exactly what the test wants."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.now_ms = 0
        self.effects: list[Any] = []
        self.appended = 0
        self.seq = 0

    def give(self, event: object, *, wait_ms: int = 0) -> list[Any]:
        """One step; every Append is recorded at once."""
        self.now_ms += wait_ms
        effects = list(self.machine.handle(event, self.now_ms))
        self.effects += effects
        for effect in list(effects):
            if isinstance(effect, Append):
                self.appended += 1
                effects += self.give(Recorded(effect.message, digest(f"own{self.appended}")))
        return effects

    def hear(self, message: Any, name: str = "", answers: bytes = b"") -> list[Any]:
        return self.give(Received(message, digest(name) if name else b"", answers))

    def control(self, kind: type[Any], **values: Any) -> list[Any]:
        self.seq += 1
        return self.hear(kind(seq=self.seq, **values))

    def read(self, at_s: int, register_wh: int, power_w: int = 0) -> list[Any]:
        """Our meter at a second since the start; the monotonic clock goes along."""
        self.now_ms = max(self.now_ms, at_s * 1_000)
        return self.give(Reading(AT_MS + at_s * 1_000, register_wh, power_w))


def said(effects: Sequence[Any], kind: type[Any]) -> list[Any]:
    """Messages of one type in Append and Tell."""
    carried = [each for each in effects if isinstance(each, Append | Tell)]
    return [each.message for each in carried if isinstance(each.message, kind)]


def interval(number: int, at_s: int, register_wh: int) -> Interval:
    return Interval(CLIENT, number, AT_MS + at_s * 1_000, register_wh)


def receipt(number: int, register_wh: int, agreed_wh: int = 0, amounts: tuple[int, ...] = ()) -> Receipt:
    return Receipt(PROVIDER, number, register_wh, agreed_wh, amounts)


def close(receipts: int = 1, agreed_wh: int = 0, amounts: tuple[int, ...] = (0,)) -> Close:
    return Close(CLIENT, AT_S, Reason.ENERGY_REACHED, receipts, agreed_wh, amounts)


def provider_at(stage: Stage, offered: Offer | None = None, **changes: Any) -> Played:
    """A provider's delivery at this stage: registers opened at 5,000 Wh, nothing delivered."""
    played = Played(ProviderDelivery(agreement(offered or offer(), CLIENT, **changes), now_ms=0))
    played.read(0, 5_000)
    if stage is Stage.AGREED:
        return played
    played.control(Ready, nonce=bytes(8))
    if stage is Stage.VOIDING:
        played.give(OwnerStop())
    if stage in (Stage.PREPARING, Stage.VOIDING):
        return played
    played.give(PathPrepared())
    if stage is Stage.OPENING:
        return played
    played.hear(receipt(0, 70_000), "receipt0", digest("own1"))
    return _after_opening(played, stage)


def client_at(stage: Stage, offered: Offer | None = None, **changes: Any) -> Played:
    """A client's delivery at this stage: registers opened at 70,000 Wh, nothing received."""
    machine = ClientDelivery(agreement(offered or offer(), PROVIDER, **changes), counted_nonces(), now_ms=0)
    played = Played(machine)
    played.read(0, 70_000)
    if stage is Stage.AGREED:
        return played
    nonce = said(played.give(Plugged()), Ready)[0].nonce
    if stage is Stage.STARTING:
        return played
    played.control(Start, nonce=nonce)
    if stage is Stage.VOIDING:
        played.give(OwnerStop())
    if stage in (Stage.PREPARING, Stage.VOIDING):
        return played
    played.give(PathPrepared())
    if stage is Stage.OPENING:
        return played
    played.hear(interval(0, 0, 5_000), "interval0")
    return _after_opening(played, stage)


def alive(played: Played) -> None:
    """The client answers the newest Status."""
    pushed = [each for each in played.effects if isinstance(each, PushStatus)]
    played.hear(Alive(pushed[-1].status.number if pushed else 0, 0))


def deliver(played: Played, seconds: range, wh_each: int, power_w: int = 7_200) -> list[Any]:
    """Readings each second, with a client that stays alive."""
    effects: list[Any] = []
    for second in seconds:
        effects += played.read(second, 5_000 + second * wh_each, power_w)
        alive(played)
    return effects


def _after_opening(played: Played, stage: Stage) -> Played:
    if stage in (Stage.PAUSED, Stage.RESUMING):
        played.give(OwnerPause(True))
    if stage is Stage.RESUMING:
        played.give(PathEnded())
        played.give(OwnerPause(False))
    if stage in (Stage.DELIVERING, Stage.PAUSED, Stage.RESUMING):
        return played
    played.give(OwnerStop())
    if stage is Stage.STOPPING:
        return played
    played.give(PathEnded())
    if played.machine.state is stage:
        return played
    return _after_path(played, stage)


def _after_path(played: Played, stage: Stage) -> Played:
    if isinstance(played.machine, ProviderDelivery):
        played.read(1, 5_010 if stage is Stage.SETTLING else 5_000)
        answer: EntryBody = Closed(CLIENT, AT_S, 1, 0, (0,))
    else:
        played.give(Tick(), wait_ms=30_000)
        answer = close()
    if stage is Stage.UNANSWERED:
        played.give(Tick(), wait_ms=30_000)
    if stage is Stage.FINISHED:
        played.hear(answer, "answer")
    return played


EVENTS: dict[type, Callable[[], object]] = {
    Reading: lambda: Reading(AT_MS + 2_000, 75_000, 0),
    PathPrepared: PathPrepared,
    PathEnded: PathEnded,
    OwnPlug: lambda: OwnPlug(1, PlugStep.VERIFIED, 7),
    OwnerStop: OwnerStop,
    OwnerPause: lambda: OwnerPause(True),
    OwnerLimit: lambda: OwnerLimit(5_000),
    Plugged: Plugged,
    Restart: Restart,
    LedgerFailed: LedgerFailed,
    LinkLost: LinkLost,
    LinkResumed: LinkResumed,
    Recorded: lambda: Recorded(close(), digest("x")),
}
MESSAGES: dict[type, Callable[[], Any]] = {
    Ready: lambda: Ready(SEQ, bytes(8)),
    Start: lambda: Start(SEQ, (1).to_bytes(8, "big")),
    Plug: lambda: Plug(SEQ, 1, PlugStep.VERIFIED, 7),
    Pause: lambda: Pause(SEQ, True),
    PowerLimit: lambda: PowerLimit(SEQ, 5_000),
    Stop: lambda: Stop(SEQ, Reason.CLIENT_FULL),
    Status: lambda: Status(9_000, 0, 0, PowerState.DELIVERING),
    Alive: lambda: Alive(0, 0),
    Confirm: lambda: Confirm(CLIENT, AT_S),
    Void: lambda: Void(CLIENT, AT_S, Reason.WITHDRAWN),
    Interval: lambda: interval(1, 1, 5_000),
    Receipt: lambda: receipt(1, 70_000, 0, (0,)),
    Dispute: lambda: Dispute(CLIENT, AT_S, 0, 0, 0, 0),
    Close: close,
    Closed: lambda: Closed(CLIENT, AT_S, 1, 0, (0,)),
}


def sample(kind: type) -> object:
    """An event of this kind, or the arrival of a message of this kind."""
    if kind in EVENTS:
        return EVENTS[kind]()
    return Received(MESSAGES[kind](), digest("sample"))


def snapshot(machine: Machine) -> dict[str, object]:
    """All that a machine knows."""
    kept = {name: value for name, value in vars(machine).items() if name != "_draw_nonce"}
    return {
        name: [value.newest] if isinstance(value, Registers) else (list(value) if hasattr(value, "popleft") else value)
        for name, value in kept.items()
    } | {"_timers": dict(machine._timers)}


__all__ = ["CutPower", "Played", "client_at", "provider_at", "said", "sample", "snapshot"]
