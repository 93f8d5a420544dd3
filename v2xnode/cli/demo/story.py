"""What happens in the demonstration: three trades, one refusal, and what each party's own ledger says of them."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from v2xnode.cli.demo.world import CABIN, CAR_A, CAR_B, CAST, HOUSE
from v2xnode.cli.ledger import reading
from v2xnode.control import RemoteRefusal
from v2xnode.errors import LocalError, RefusedByLimit
from v2xnode.settling.trades import trade

Say = Callable[[str], None]

LOOK_MS = 300
"""Real time of a look around: on one machine the answers come within some milliseconds."""

NAMES = {cast.place: cast.name for cast in CAST}


@dataclass(slots=True)
class Told:
    """What the story brought, as JSON."""

    trades: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Act:
    """One trade: who asks for what, and how they are plugged together."""

    service: str
    provider: str
    client: str
    cable: str
    terminals: tuple[str, str]
    energy_wh: int
    power_max_w: int
    price_max_micro_per_kwh: int = 600_000

    def wish(self, energy_wh: int, energy_min_wh: int) -> dict[str, Any]:
        """The parameters of the client's command."""
        return {
            "service": self.service,
            "energy_wh": energy_wh,
            "energy_min_wh": energy_min_wh,
            "power_max_w": self.power_max_w,
            "price_max_micro_per_kwh": self.price_max_micro_per_kwh,
            "window_ms": 600_000,
            "look_ms": LOOK_MS,
        }


V2V = Act("V2V", CAR_A, CAR_B, "box", ("car_a.v2v", "car_b.v2v"), 150, 50_000)
V2H = Act("V2H", CAR_A, HOUSE, "wallbox", ("car_a.v2h", "house.v2h"), 4_000, 10_000)
V2L = Act("V2L", CAR_B, CABIN, "extension", ("car_b.v2l", "cabin.v2l"), 7, 3_600)


class Story:
    """Plays the acts on a running stage (see `processes` and `inside`)."""

    def __init__(self, stage: Any, say: Say) -> None:
        self._stage = stage
        self._say = say
        self.told = Told()

    async def play(self) -> Told:
        """A car helps a car; a house asks for too much and then for what is left, while the car that was helped
        powers a cabin."""
        await self._plug(V2V)
        await self._trade(V2V, V2V.energy_wh, 1)
        await self._unplug(V2V)
        await self._plug(V2H)
        await self._plug(V2L)
        passing_wh = await self._refused(V2H)
        await asyncio.gather(self._trade(V2H, passing_wh, passing_wh), self._trade(V2L, V2L.energy_wh, 1))
        return self.told

    async def _plug(self, act: Act) -> None:
        provider, client = act.terminals
        await self._stage.plant.ask({"op": "plug", "cable": act.cable, "provider": provider, "client": client})

    async def _unplug(self, act: Act) -> None:
        await self._stage.plant.ask({"op": "plug", "cable": act.cable, "provider": None, "client": None})

    async def _refused(self, act: Act) -> int:
        """Ask for more than the owner's reserve leaves, and return the value that the refusal says would pass."""
        self._say(f"{NAMES[act.client]} asks for {act.energy_wh / 1000:.1f} kWh, all of it or nothing.")
        try:
            await self._stage.command(act.client, "request", **act.wish(act.energy_wh, act.energy_wh))
        except RemoteRefusal as refusal:
            if refusal.remote_exit_code != RefusedByLimit.exit_code:
                raise
            told, sentence = refusal.details, refusal.sentence
        else:
            raise LocalError("A request that breaks the reserve was not refused.", code="demo_failed")
        owner = (await self._stage.command(act.provider, "events", kind="refused"))[-1]
        passing = told["would_pass"]
        self.told.refusals.append(
            {
                "code": owner["code"],
                "sentence": owner["sentence"],
                "would_pass": passing["value"],
                "quantity": passing["quantity"],
                "told_to_peer": {"code": told["code"], "sentence": sentence},
                "provider": NAMES[act.provider],
                "client": NAMES[act.client],
            }
        )
        self._say(f"  refused to the peer:  {sentence} [{told['code']}]")
        self._say(f"  told to the owner:    {owner['sentence']} [{owner['code']}]")
        return int(passing["value"])

    async def _trade(self, act: Act, energy_wh: int, energy_min_wh: int) -> None:
        self._say(f"{act.service}: {NAMES[act.client]} asks {NAMES[act.provider]} for {energy_wh} Wh.")
        before = await self._carried(act.client)
        began = time.monotonic()
        result = await self._stage.command(act.client, "request", **act.wish(energy_wh, energy_min_wh))
        after = await self._carried(act.client)
        bearer = result["bearer"]
        told = self._both_sides(act, bytes.fromhex(result["request_id"]))
        told |= {
            "bearer": bearer,
            "bytes": after[bearer] - before[bearer],
            "setup_ms": result["setup_ms"],
            "setup_round_trips": result["setup_round_trips"],
            "setup_bytes": result["setup_bytes"],
            "wall_ms": int((time.monotonic() - began) * 1000),
        }
        self.told.trades.append(told)
        self._tell(told)

    async def _carried(self, place: str) -> dict[str, int]:
        bearers = (await self._stage.command(place, "status"))["bearers"]
        return {name: carried["bytes_sent"] + carried["bytes_received"] for name, carried in bearers.items()}

    def _both_sides(self, act: Act, request_id: bytes) -> dict[str, Any]:
        """What provider and client each have in their own ledger."""
        provider = _recorded(self._stage.data(act.provider), request_id)
        client = _recorded(self._stage.data(act.client), request_id)
        return {
            "service": act.service,
            "provider": NAMES[act.provider],
            "client": NAMES[act.client],
            "request_id": request_id.hex(),
            "state": client["state"],
            "reason": client["reason"],
            "currency": client["currency"],
            "delivered_wh": {
                "provider": provider["delivered_wh"]["provider"],
                "client": client["delivered_wh"]["client"],
                "agreed": client["delivered_wh"]["agreed"],
                "agreed_by_provider": provider["delivered_wh"]["agreed"],
            },
            "price_micro_per_kwh": provider["price_micro_per_kwh"],
            "amount_micro": {"provider": provider["amount_micro"], "client": client["amount_micro"]},
            "intervals": provider["intervals"],
            "receipts": client["receipts"],
        }

    def _tell(self, told: dict[str, Any]) -> None:
        delivered, amount = told["delivered_wh"], told["amount_micro"]
        self._say(
            f"  {told['service']} settled over {told['bearer']} ({told['reason']}): meters {delivered['provider']} and "
            f"{delivered['client']} Wh, agreed {delivered['agreed']} Wh in {told['receipts']} receipts"
        )
        self._say(
            f"  provider's ledger {_money(amount['provider'])} {told['currency']}, client's ledger "
            f"{_money(amount['client'])} {told['currency']}; set up in {told['setup_round_trips']} round trips, "
            f"{told['setup_bytes']} bytes, {told['setup_ms']} ms"
        )


def _recorded(data: Path, request_id: bytes) -> dict[str, Any]:
    with reading(data) as reader:
        found = trade(reader, request_id)
    if found is None:
        raise LocalError(f"{data.name} has no record of a settled trade.", code="demo_failed")
    return found.as_json()


def _money(micro: int) -> str:
    return f"{micro // 1_000_000}.{micro % 1_000_000:06d}"
