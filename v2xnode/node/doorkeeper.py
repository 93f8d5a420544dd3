"""Commands of the control socket, each to a method of the node."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from market.errors import TermsInvalid
from market.units import MAX_DURATION_MS, MAX_ENERGY_WH, MAX_POWER_W, MAX_PRICE_MICRO_PER_KWH, Service
from v2xnode.control import Tell
from v2xnode.discovery import LOOK_MS
from v2xnode.errors import UsageError
from v2xnode.node.node import Node
from v2xnode.settling.steps import STEPS
from v2xnode.trading.asking import Wish

Command = Callable[[Node, dict[str, Any]], Awaitable[Any]]


class Doorkeeper:
    """Commands of the control socket, each to a method of the node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def dispatch(self, method: str, params: dict[str, Any], tell: Tell) -> Any:
        """Do one command. Raises UsageError for one that does not exist, or values that can't be meant."""
        doing = _COMMANDS.get(method) or _account(method)
        if doing is None:
            raise UsageError(f"There is no command {method!r:.40}.", code="unknown_command")
        with self._node.events.listening() as events:
            telling = asyncio.create_task(_tell(events, tell))
            try:
                return await doing(self._node, params)
            except TermsInvalid as problem:
                raise UsageError(str(problem), code=problem.code) from None
            finally:
                telling.cancel()


async def _tell(events: Any, tell: Tell) -> None:
    async for event in events:
        tell(event.as_json())


async def _status(node: Node, _: dict[str, Any]) -> Any:
    return await node.status()


async def _discover(node: Node, params: dict[str, Any]) -> Any:
    found = await node.discover(_whole(params, "window_ms", 100, 60_000, LOOK_MS))
    now_ms = node.link_ms()
    return {"bearers": node.bearers, "sightings": [heard.as_json(now_ms) for heard in found]}


async def _request(node: Node, params: dict[str, Any]) -> Any:
    energy_wh = _whole(params, "energy_wh", 1, MAX_ENERGY_WH)
    wish = Wish(
        service=_service(params),
        energy_wh=energy_wh,
        energy_min_wh=_whole(params, "energy_min_wh", 1, energy_wh, energy_wh),
        power_max_w=_whole(params, "power_max_w", 1, MAX_POWER_W),
        price_max_micro_per_kwh=_whole(params, "price_max_micro_per_kwh", 0, MAX_PRICE_MICRO_PER_KWH),
        window_ms=_whole(params, "window_ms", 1, MAX_DURATION_MS),
    )
    return await node.request(
        wish,
        peer=_node_id(params, "peer"),
        address=_text(params, "address"),
        look_ms=_whole(params, "look_ms", 100, 60_000, LOOK_MS),
    )


def _whole(params: dict[str, Any], name: str, low: int, high: int, default: int | None = None) -> int:
    """A whole number within its bounds. Raises UsageError."""
    value = params.get(name, default)
    if type(value) is not int or not low <= value <= high:
        raise UsageError(f"{name} is a whole number from {low} to {high}.", code="malformed")
    return value


def _text(params: dict[str, Any], name: str) -> str:
    value = params.get(name, "")
    if not isinstance(value, str) or len(value) > 200:
        raise UsageError(f"{name} is text of at most 200 characters.", code="malformed")
    return value


def _node_id(params: dict[str, Any], name: str) -> str:
    """A node id, or how it begins. Raises UsageError."""
    value = _text(params, name).lower()
    if len(value) > 64 or not set(value) <= set("0123456789abcdef"):
        raise UsageError(f"{name} is a node id: up to 64 hexadecimal digits.", code="malformed")
    return value


def _service(params: dict[str, Any]) -> Service:
    name = _text(params, "service")
    if name not in Service.__members__:
        raise UsageError(f"service is one of {', '.join(Service.__members__)}.", code="malformed")
    return Service[name]


async def _trades(node: Node, _: dict[str, Any]) -> Any:
    return await node.trades()


async def _allow(node: Node, params: dict[str, Any]) -> Any:
    return await node.allow(_node_id(params, "peer"))


async def _events(node: Node, params: dict[str, Any]) -> Any:
    since = _whole(params, "since", 0, 2**62, 0)
    return [event.as_json() for event in node.events.since(since, _text(params, "kind") or None)]


async def _stop(node: Node, params: dict[str, Any]) -> Any:
    return await node.stop(_text(params, "request_id"))


def _account(step: str) -> Command | None:
    """One of the owner's steps about money."""
    if step not in STEPS:
        return None
    return lambda node, params: node.account(step, params)


_COMMANDS: dict[str, Command] = {
    "status": _status,
    "discover": _discover,
    "request": _request,
    "trades": _trades,
    "stop": _stop,
    "events": _events,
    "allow": _allow,
}
