"""A delivery begins over BLE, the radio is cut, and the same session goes on over CoAP: real processes, real stacks, a
radio in software."""

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from market.terms import Close, Interval
from tests.support.acts import V2H, V2V, Act
from tests.support.processes import Scene, cast, scene, until
from v2xnode.cli.demo.bearers import virtual_air
from v2xnode.cli.ledger import reading
from v2xnode.control import command
from v2xnode.settling.trades import Trade, trades

pytestmark = [pytest.mark.processes, pytest.mark.timeout(150)]

MORE_WH = 8
"""Delivered after the move before the owner stops it."""


async def order(directory: Path, line: str) -> None:
    """Tell the air something."""
    reader, writer = await asyncio.open_unix_connection(str(directory / "air-control.sock"))
    writer.write(f"{line}\n".encode())
    assert (await reader.readline()).startswith(b"ok"), line
    writer.close()
    await writer.wait_closed()


async def ble_address(stage: Scene, looker: str, provider: str) -> str:
    """Where on the air a node hears the only one that offers anything."""
    for _ in range(20):
        found = (await command(stage.data(looker), "discover", {"window_ms": 500}))["sightings"]
        heard = [each["address"] for each in found if each["bearer"] == "ble" and each["provides"]]
        if heard:
            return str(heard[0])
    raise AssertionError(f"{looker} does not hear {provider}")


async def delivery(stage: Scene, place: str) -> dict[str, Any]:
    """The one that runs."""
    running = (await stage.command(place, "status"))["deliveries"]
    return dict(running[0]) if running else {"bearer": None, "delivered_wh": 0, "request_id": ""}


async def seen(stage: Scene, place: str, looks: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until a node's delivery looks so."""
    async with asyncio.timeout(60):
        while not looks(now := await delivery(stage, place)):  # noqa: ASYNC110  # the node has no event for it
            await asyncio.sleep(0.05)
    return now


def the_trade(stage: Scene, place: str) -> Trade:
    """The only one in a ledger."""
    with reading(stage.data(place)) as reader:
        [found] = trades(reader)
    return found


async def test_the_session_goes_on_over_coap_and_settles_once(directory: Path) -> None:
    """V2V, whose provider switches off after 3 s of silence, and V2H, where the light has to stay on."""
    places = [directory / act.service for act in (V2V, V2H)]
    for place in places:
        place.mkdir()
    await asyncio.gather(*(cut_and_go_on(place, act) for place, act in zip(places, (V2V, V2H), strict=True)))


async def cut_and_go_on(directory: Path, act: Act) -> None:
    """In an air and a world of its own."""
    provider, client = act.provider, act.client
    terminals = f"{provider}.{act.service.lower()}", f"{client}.{act.service.lower()}"
    owner = {"exposure_wh": {act.service: act.exposure_wh}, "reserve_permille": 100}
    parts = [cast(provider), cast(client)]
    async with virtual_air(directory) as air:
        made = scene(directory, parts, owner=owner, node={"prefer": ["ble", "coap"]}, bearers={"ble": air})
        async with made as stage:
            address = await ble_address(stage, client, provider)
            await stage.plug(act.cable, *terminals)
            wish = {"service": act.service, "energy_wh": 200, "energy_min_wh": 1, "power_max_w": act.power_max_w}
            price = {"price_max_micro_per_kwh": 600_000, "window_ms": 600_000}
            asked = asyncio.create_task(stage.command(client, "request", **wish, **price))
            began = await seen(stage, provider, lambda now: now["delivered_wh"] >= act.flowing_wh)
            assert (began["bearer"], (await delivery(stage, client))["bearer"]) == ("ble", "ble")
            await order(directory, f"cut {address}")
            moved = await seen(stage, client, lambda now: now["bearer"] == "coap")
            assert moved["request_id"] == began["request_id"]
            assert abs(stage.power_w(terminals[0])) > 0, "the power never went off"
            enough_wh = moved["delivered_wh"] + MORE_WH
            await seen(stage, provider, lambda now: now["delivered_wh"] >= enough_wh)
            await stage.command(client, "stop")
            done = await asked
            sale = await until("it is settled", lambda: _settled(stage, provider))
            check(sale, the_trade(stage, client), done, act.exposure_wh)
            assert sale.agreed_wh > moved["delivered_wh"]
            for place in (provider, client):
                assert stage.verified(place).fault is None


def _settled(stage: Scene, place: str) -> Trade | None:
    found = the_trade(stage, place)
    return found if found.state == "settled" else None


def check(sale: Trade, purchase: Trade, done: dict[str, Any], exposure_wh: int) -> None:
    """One settlement, alike on both sides, and never more on trust than was agreed."""
    assert sale.request_id.hex() == purchase.request_id.hex() == done["request_id"]
    assert (sale.agreed_wh, sale.amounts_micro) == (purchase.agreed_wh, purchase.amounts_micro)
    assert len(sale.of(Close)) == 1
    steps = [late.register_wh - soon.register_wh for soon, late in itertools.pairwise(sale.of(Interval))]
    assert max(steps) <= exposure_wh
