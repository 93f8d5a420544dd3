"""The demonstration's services as acts of a play: two nodes of real processes in a copy of the world, energy flowing,
and what is evidence afterwards."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from market.terms import Interval
from tests.support.processes import Scene, cast, scene, until, world
from v2xnode.control import RemoteRefusal
from v2xnode.errors import Unreachable


@dataclass(frozen=True, slots=True)
class Act:
    """A service, who provides and who receives it, over which cable; `flowing_wh` is delivered and not yet receipted
    when a node is stopped. A power at which, and an exposure for which, seconds count."""

    service: str
    provider: str
    client: str
    cable: str
    exposure_wh: int
    flowing_wh: int
    power_max_w: int
    client_holds_permit: bool = True


V2V = Act("V2V", "car_a", "car_b", "box", exposure_wh=60, flowing_wh=10, power_max_w=20_000)
V2H = Act("V2H", "car_a", "house", "wallbox", exposure_wh=40, flowing_wh=3, power_max_w=11_000)
V2L = Act("V2L", "car_b", "cabin", "extension", 4, flowing_wh=1, power_max_w=3_600, client_holds_permit=False)


class Trading:
    """One act in one copy of the world."""

    def __init__(self, stage: Scene, act: Act, copy: str) -> None:
        self.stage, self.act = stage, act
        self.provider, self.client, self.cable = act.provider + copy, act.client + copy, act.cable + copy
        suffix = f".{act.service.lower()}{copy}"
        self.terminals = act.provider + suffix, act.client + suffix
        self.request_id = ""

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """Plug in, ask, and go on while energy flows."""
        await self.stage.plug(self.cable, *self.terminals)
        asked = asyncio.create_task(self.ask())
        try:
            while await self._delivered_wh() < self.act.flowing_wh:
                assert not asked.done(), f"{self.client} asked and received nothing: {asked.result()!r}"
                await asyncio.sleep(0.1)
            assert min(abs(self.stage.power_w(each)) for each in self.terminals) > 0
            yield
        finally:
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

    async def ask(self, energy_wh: int = 200) -> Any:
        """The client's purchase, to its end; or what ended it, which may be the end of its node."""
        try:
            return await self.stage.command(
                self.client,
                "request",
                service=self.act.service,
                energy_wh=energy_wh,
                energy_min_wh=1,
                power_max_w=self.act.power_max_w,
                price_max_micro_per_kwh=600_000,
                window_ms=600_000,
                address=self.stage.address(self.provider),
            )
        except (Unreachable, RemoteRefusal) as ended:
            return ended

    async def _delivered_wh(self) -> int:
        running = (await self.stage.command(self.provider, "status"))["deliveries"]
        self.request_id = running[0]["request_id"] if running else ""
        return int(running[0]["delivered_wh"]) if running else 0

    async def dead_since_ms(self) -> int:
        """World time since which both terminals are at 0 W: waited for, and then it stays so."""
        return await until(f"0 W at {self.terminals}", lambda: self.stage.dead_since_ms(*self.terminals))

    async def settled(self) -> None:
        def both() -> bool:
            found = [self.stage.trade(place, self.request_id) for place in (self.provider, self.client)]
            return all(each is not None and each.state == "settled" for each in found)

        await until(f"{self.provider} and {self.client} settle", lambda: both() or None)

    async def unreceipted_wh(self, survivor: str) -> int:
        """What the provider's meter in the plant shows beyond the last Receipt in the survivor's ledger."""
        held = self.stage.trade(survivor, self.request_id)
        assert held is not None
        assert held.last_receipt is not None
        intervals: list[Interval] = held.of(Interval)
        receipted = next(each for each in intervals if each.number == held.last_receipt.number)
        register_wh = (await self.stage.ask_plant("read", meter=self.terminals[0]))["export_wh"]
        return int(register_wh) - receipted.register_wh

    async def check_evidence(self) -> None:
        """Whatever needs a permit opens, and stays dead; nothing was asked of the plant that no node should ask; the
        books verify."""
        permitted = self.terminals if self.act.client_holds_permit else self.terminals[:1]
        for terminal in permitted:
            await until(f"{terminal} opens", lambda: self._is_open(terminal) or None)  # noqa: B023  # waited for here
        for terminal in self.terminals:
            assert not self.stage.log("violation", terminal)
            assert self.stage.power_w(terminal) == 0
        for place in (self.provider, self.client):
            assert self.stage.verified(place).fault is None, place

    def _is_open(self, terminal: str) -> bool:
        switched = self.stage.log("contactor", terminal)
        return not switched or not switched[-1]["closed"]


@asynccontextmanager
async def car_park(directory: Path, act: Act, copies: Sequence[str], speed: int = 1) -> AsyncIterator[list[Trading]]:
    """The act's two nodes in as many copies as are named."""
    parts = [cast(place, copy) for copy in copies for place in (act.provider, act.client)]
    owner = {"exposure_wh": {act.service: act.exposure_wh}}
    async with scene(directory, parts, place=world(*copies), speed=speed, owner=owner) as stage:
        yield [Trading(stage, act, copy) for copy in copies]
