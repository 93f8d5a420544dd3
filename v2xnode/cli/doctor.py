"""`v2xnode doctor`: what stands in a node's way on this machine, and what to do about it."""

import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ledger.errors import DirectoryHeld, LedgerError
from ledger.store.directory import DirectoryLock
from transports.errors import TransportError
from v2xnode.cli.output import DataOption, JsonOption, Output
from v2xnode.clock import real_clock, trusted
from v2xnode.errors import NodeError
from v2xnode.identity import load_identity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transports.finding import Finding
    from v2xnode.config import Config

MIN_FREE_BYTES = 100_000_000
"""Years of a household's trades; below it an installer should know."""


def register(app: typer.Typer) -> None:
    """Hang the command under the program."""
    app.command("doctor")(doctor)


def doctor(data: DataOption, as_json: JsonOption = False) -> None:
    """Look at clock, disk, key, configuration, bearers and devices, and say what to do. Exit 1 if any is wrong."""
    output = Output(as_json)

    def work() -> int:
        findings = asyncio.run(_examine(data))
        for finding in findings:
            mark = "ok " if finding["ok"] else "BAD"
            remedy = f" - {finding['remedy']}" if finding["remedy"] else ""
            output.say(f"{mark} {finding['subject']}: {finding['sentence']}{remedy}")
        output.result({"findings": findings})
        return 0 if all(finding["ok"] for finding in findings) else 1

    output.guarded(work)


Findings = list[dict[str, object]]


def _finding(subject: str, ok: bool, sentence: str, remedy: str = "") -> dict[str, object]:
    return {"subject": subject, "ok": ok, "sentence": sentence, "remedy": remedy or None}


async def _examine(data: Path) -> Findings:
    from v2xnode.config import Config, load_config

    findings = [_clock(), _disk(data), _owner(data), _key(data)]
    try:
        config = load_config(data)
        findings.append(_finding("configuration", True, "it reads"))
    except NodeError as problem:
        findings.append(_finding("configuration", False, problem.sentence))
        config = Config()  # its defaults: what they need is looked at all the same
    return [*findings, *await _bearers(config), *_fixed_address(config, data), *await _devices(config)]


def _clock() -> dict[str, object]:
    if trusted(real_clock().wall_ms()):
        return _finding("clock", True, "the machine's clock is set")
    return _finding("clock", False, "the machine's clock is not set", "connect it to a time server")


def _disk(data: Path) -> dict[str, object]:
    place = data if data.exists() else data.parent
    try:
        free = shutil.disk_usage(place).free
    except OSError as problem:
        return _finding("disk", False, f"{place}: {problem.strerror}", "create the directory, or name another --data")
    ok = free >= MIN_FREE_BYTES
    return _finding("disk", ok, f"{free // 1_000_000} MB are free", "" if ok else "make room: the ledger must not stop")


def _owner(data: Path) -> dict[str, object]:
    if not data.exists():
        return _finding("directory", False, f"{data} does not exist", f"run `v2xnode init --data {data}`")
    try:
        with DirectoryLock(data):
            return _finding("directory", True, "no node runs on it")
    except DirectoryHeld:
        return _finding("directory", True, "a node runs on it")
    except LedgerError as problem:
        return _finding("directory", False, str(problem), "check its owner and permissions")


def _key(data: Path) -> dict[str, object]:
    try:
        identity = load_identity(data)
    except NodeError as problem:
        return _finding("key", False, problem.sentence)
    return _finding("key", True, f"this node is {identity.node_id}")


async def _bearers(config: "Config") -> Findings:
    """What each bearer finds; at least one has to be switched on."""
    findings = Findings()
    for bearer, look in (("coap", _coap), ("ble", _ble), ("libp2p", _libp2p)):
        try:
            findings += await look(config)
        except TransportError as problem:  # settings that contradict each other
            findings.append(_finding(f"{bearer} settings", False, str(problem), f"see [{bearer}]"))
    if not (config.coap.enabled or config.ble.enabled or config.libp2p.enabled):
        findings.append(_finding("bearers", False, "all are switched off", "enable one: see [coap], [ble], [libp2p]"))
    return findings


async def _coap(config: "Config") -> Findings:
    from transports.coap.probe import probe
    from v2xnode.bearers import coap_settings

    return _told("coap", await probe(coap_settings(config))) if config.coap.enabled else _off("coap")


async def _ble(config: "Config") -> Findings:
    from v2xnode.bearers import ble_settings

    if not config.ble.enabled:
        return _off("ble")
    settings = ble_settings(config)
    if settings.air is not None:
        return [_finding("ble", True, f"it has no radio, but the virtual air at {settings.air}")]
    from transports.ble.bluez.diagnosis import diagnose

    second = settings.peripheral_adapter
    adapters = [settings.adapter] if second in (None, settings.adapter) else [settings.adapter, second]
    return [each for adapter in adapters for each in _told("ble", await diagnose(adapter))]


async def _libp2p(config: "Config") -> Findings:
    from transports.libp2p.probe import probe
    from v2xnode.bearers import libp2p_settings

    if not config.libp2p.enabled:
        return _off("libp2p")
    libp2p_settings(config, None)
    return _told("libp2p", probe())


def _fixed_address(config: "Config", data: Path) -> Findings:
    """What others need to find a fixed site on libp2p."""
    if not (config.libp2p.enabled and config.libp2p.fixed):
        return []
    if not config.libp2p.port:
        return [_finding("libp2p address", False, "a fixed site has no fixed port", "set port below [libp2p]")]
    try:
        from transports.libp2p.address import endpoint, peer_id

        peer = peer_id(load_identity(data).public)
    except (ImportError, NodeError):
        return []  # told already
    where = endpoint(config.libp2p.host or "<this machine's address>", config.libp2p.port)
    return [_finding("libp2p address", True, f"others reach it at {where}/p2p/{peer}")]


def _off(bearer: str) -> Findings:
    return [_finding(bearer, True, "it is switched off")]


def _told(bearer: str, found: "Sequence[Finding]") -> Findings:
    return [_finding(f"{bearer} {each.code}", each.ok, each.sentence, each.remedy or "") for each in found]


async def _devices(config: "Config") -> Findings:
    from v2xnode.devices.errors import DeviceError
    from v2xnode.devices.registry import find_driver

    findings = []
    for path in config.devices.paths:
        subject = f"{path.profile} as {path.role}"
        try:
            async with find_driver(config.devices.driver)(path.options) as devices:
                reading = await devices.meter.read()
                await devices.charger.sense()
        except DeviceError as problem:
            findings.append(_finding(subject, False, str(problem), "see [devices] in the configuration"))
        else:
            findings.append(_finding(subject, True, f"charger and meter answer, {reading.export_wh} Wh exported"))
    return findings or [_finding("devices", False, "no power path is configured", "see [devices] in the configuration")]
