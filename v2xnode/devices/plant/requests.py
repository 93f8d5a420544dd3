"""What can be asked of a plant in plain JSON values, the same in one process and over the socket.

`{"op": "sense", "terminal": T}`, `{"op": "command", "terminal": T, "commands": [{"do": "close"}, ...]}`,
`{"op": "read", "meter": M}`, `{"op": "state", "battery": B}`; and for whoever plays fate:
`{"op": "inject", "terminal": T, "fault": F, "on": true}`, `{"op": "plug", "cable": C, "provider": T, "client": T}`,
`{"op": "cross", "one": C, "other": C}`, `{"op": "miscount", "battery": B, "energy_wh": N}`, `{"op": "report"}`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from v2xnode.devices.errors import DeviceDataInvalid
from v2xnode.devices.interface import (
    CableCheck,
    Close,
    Emit,
    Lock,
    Open,
    PathCommand,
    Permit,
    PilotReady,
    Precharge,
    SetPower,
    Unlock,
)
from v2xnode.devices.plain import from_plain, to_plain
from v2xnode.devices.plant.plant import Plant
from v2xnode.devices.plant.terminal import Fault

COMMANDS: dict[str, type[PathCommand]] = {
    "lock": Lock,
    "unlock": Unlock,
    "pilot_ready": PilotReady,
    "cable_check": CableCheck,
    "emit": Emit,
    "precharge": Precharge,
    "close": Close,
    "permit": Permit,
    "set_power": SetPower,
    "open": Open,
}
NAMES: dict[type[PathCommand], str] = {kind: name for name, kind in COMMANDS.items()}


@dataclass(frozen=True, slots=True)
class _Sense:
    terminal: str


@dataclass(frozen=True, slots=True)
class _Read:
    meter: str


@dataclass(frozen=True, slots=True)
class _State:
    battery: str


@dataclass(frozen=True, slots=True)
class _Inject:
    terminal: str
    fault: Fault
    on: bool = True


@dataclass(frozen=True, slots=True)
class _Plug:
    cable: str
    provider: str | None
    client: str | None


@dataclass(frozen=True, slots=True)
class _Cross:
    one: str
    other: str


@dataclass(frozen=True, slots=True)
class _Miscount:
    battery: str
    energy_wh: int


@dataclass(frozen=True, slots=True)
class _Report:
    pass


def command_to_plain(command: PathCommand) -> dict[str, Any]:
    """A command as it travels: its name under `do`, and its fields."""
    return {"do": NAMES[type(command)], **to_plain(command)}


def command_from_plain(plain: object) -> PathCommand:
    """The command back. Raises DeviceDataInvalid."""
    fields = _fields(plain, "command")
    kind = COMMANDS.get(str(fields.pop("do", "")))
    if kind is None:
        raise DeviceDataInvalid(f"command: unknown `do` in {plain!r:.80}")
    return from_plain(kind, fields, "command")


def answer(plant: Plant, request: object) -> Any:
    """Do one request at the plant's present time. Raises DeviceError; then nothing but earlier commands was done."""
    fields = _fields(request, "request")
    op = str(fields.pop("op", ""))
    if op == "command":
        return _command(plant, fields)
    if op not in OPS:
        raise DeviceDataInvalid(f"request: unknown op {op!r:.40}")
    kind, doing = OPS[op]
    return to_plain(doing(plant, from_plain(kind, fields, op)))


def _fields(plain: object, what: str) -> dict[str, Any]:
    if not isinstance(plain, Mapping):
        raise DeviceDataInvalid(f"{what}: expected a map, not {plain!r:.60}")
    return dict(plain)


def _command(plant: Plant, fields: dict[str, Any]) -> None:
    terminal, commands = fields.get("terminal"), fields.get("commands")
    if fields.keys() != {"terminal", "commands"} or not isinstance(commands, list) or not isinstance(terminal, str):
        raise DeviceDataInvalid("command: expected `terminal` and a list of `commands`")
    plant.command(terminal, [command_from_plain(plain) for plain in commands])


OPS: dict[str, tuple[type, Callable[[Plant, Any], Any]]] = {
    "sense": (_Sense, lambda plant, ask: plant.sense(ask.terminal)),
    "read": (_Read, lambda plant, ask: plant.read(ask.meter)),
    "state": (_State, lambda plant, ask: plant.state(ask.battery)),
    "inject": (_Inject, lambda plant, ask: plant.inject(ask.terminal, ask.fault, ask.on)),
    "plug": (_Plug, lambda plant, ask: plant.plug(ask.cable, ask.provider, ask.client)),
    "cross": (_Cross, lambda plant, ask: plant.cross(ask.one, ask.other)),
    "miscount": (_Miscount, lambda plant, ask: plant.miscount(ask.battery, ask.energy_wh)),
    "report": (_Report, lambda plant, ask: plant.report()),
}
