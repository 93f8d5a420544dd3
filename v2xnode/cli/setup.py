"""Commands before a node runs: make its directory, check its configuration, look at what stands in its way."""

import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

import typer

from ledger.directory import DirectoryLock
from ledger.errors import DirectoryHeld, LedgerError
from v2xnode.cli.output import DataOption, JsonOption, Output, make_directory
from v2xnode.clock import real_clock, trusted
from v2xnode.errors import NodeError, UsageError
from v2xnode.identity import create_identity, load_identity

if TYPE_CHECKING:
    from v2xnode.config import Config

Kind = Literal["vehicle", "home", "load"]
Strangers = Literal["ask", "yes", "no"]
Answer = TypeVar("Answer", bound=str)
KINDS: Final[tuple[Kind, ...]] = ("vehicle", "home", "load")
STRANGERS: Final[tuple[Strangers, ...]] = ("ask", "yes", "no")

MIN_FREE_BYTES = 100_000_000
"""Years of a household's trades; below it an installer should know."""

config_app = typer.Typer(no_args_is_help=True, help="The configuration file.")

_TEMPLATE = """\
# v2xnode: what an installer sets. Limits below [owner] are the ones the node starts with.

[node]
name = "{name}"
currency = "EUR"
# closed: nobody sees this node; known: only peers that it knows can talk to it; open: strangers too.
visibility = "{visibility}"
# For time-of-use prices and the day of the daily cap, e.g. "Europe/Berlin".
time_zone = "UTC"

[coap]
# Discovery on this machine only, for trying things out.
loopback = false

[devices]
# The driver of your charger, meter and battery, and one path for each connector:
# paths = [{{ profile = "DC_BPT", role = "provider", options = {{ ... }} }}]
driver = "simulated"
paths = []

[electrical]
{electrical}

[owner]
# What this node sells: "V2V", "V2H", "V2L", "V2B".
provides = {provides}
# Never sell below this share of the battery (thousandths).
reserve_permille = {reserve}
# Millionths of the currency a kWh.
price_micro_per_kwh = 300000
# A stranger's first trade: "ask" me, "yes", "no".
strangers = "{strangers}"
"""

_ELECTRICAL: dict[Kind, str] = {
    "vehicle": """connectors = ["CCS2", "TYPE2", "SCHUKO"]
profiles = ["DC_CONVERTER", "DC_BPT", "AC_OUTLET"]
voltage_min_mv = 200000
voltage_max_mv = 900000
phases = 1
frequency_millihz = 50000
continuous_va = 50000""",
    "home": """connectors = ["CCS2"]
profiles = ["DC_BPT"]
voltage_min_mv = 150000
voltage_max_mv = 920000
continuous_va = 11000""",
    "load": """connectors = ["SCHUKO"]
profiles = ["AC_OUTLET"]
voltage_min_mv = 207000
voltage_max_mv = 253000
phases = 1
frequency_millihz = 50000
continuous_va = 3600""",
}


def register(app: typer.Typer) -> None:
    """Hang the commands under the program."""
    app.command("init")(init)
    app.command("doctor")(doctor)


def init(
    data: DataOption,
    name: Annotated[str, typer.Option(help="As your phone will show it.")] = "",
    kind: Annotated[Kind | None, typer.Option(help="What it is.")] = None,
    strangers: Annotated[Strangers | None, typer.Option(help="May strangers trade with it?")] = None,
    plant: Annotated[Path | None, typer.Option(help="Socket of a simulated plant, to try without hardware.")] = None,
    place: Annotated[str, typer.Option(help="This node's place in the plant, e.g. car_a.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Make a data directory: a key that is the node's for life, and a commented configuration. Asks what is missing."""
    output = Output(as_json)

    def work() -> None:
        from v2xnode.config import CONFIG_FILE, parse_config

        if plant is not None:
            text = _simulated(plant, place)
        else:
            text = _configuration(
                name or _ask("Name of this node"),
                kind or _choice("What is it", KINDS),
                strangers or _choice("May strangers trade with it", STRANGERS),
            )
        parse_config(text)
        make_directory(data)
        if (data / CONFIG_FILE).exists():
            raise UsageError(f"{data / CONFIG_FILE} exists already; nothing was changed.", code="config_exists")
        identity = create_identity(data)
        (data / CONFIG_FILE).write_text(text)
        output.say(f"This node is {identity.node_id}.")
        output.say(f"Read {data / CONFIG_FILE}, then `v2xnode run --data {data}`.")
        output.result({"node": identity.node_id, "data": str(data)})

    output.guarded(work)


def _ask(question: str) -> str:
    """What a person types. Raises UsageError where nobody does."""
    try:
        return str(typer.prompt(question, err=True)).strip()
    except typer.Abort:
        raise UsageError("No answer was given; nothing was changed.", code="unanswered") from None


def _choice(question: str, answers: tuple[Answer, ...]) -> Answer:
    """One of the answers, typed by a person. Raises UsageError."""
    given = _ask(f"{question} ({', '.join(answers)})").lower()
    found = next((answer for answer in answers if answer == given), None)
    if found is None:
        raise UsageError(f"{given!r} is none of {', '.join(answers)}; nothing was changed.", code="malformed")
    return found


def _simulated(plant: Path, place: str) -> str:
    """The configuration of one place of the simulated world. Raises UsageError for a place that it does not have."""
    from v2xnode.cli.demo.world import CAST, configuration
    from v2xnode.toml import to_toml

    cast = next((each for each in CAST if each.place == place), None)
    if cast is None:
        raise UsageError(f"--place is one of {', '.join(each.place for each in CAST)}.", code="unknown_place")
    return f"# A simulated node: {cast.name}. Its devices are the plant's.\n\n" + to_toml(
        configuration(cast, plant.absolute())
    )


def _configuration(name: str, kind: Kind, strangers: Strangers) -> str:
    return _TEMPLATE.format(
        name=name.replace("\\", "").replace('"', ""),
        visibility="open" if strangers == "yes" else "known",
        electrical=_ELECTRICAL[kind],
        provides='["V2V", "V2H", "V2L"]' if kind == "vehicle" else "[]",
        reserve=300 if kind == "vehicle" else 0,
        strangers=strangers,
    )


@config_app.command("check")
def check(data: DataOption, as_json: JsonOption = False) -> None:
    """Read the configuration and explain each error with its line."""
    output = Output(as_json)

    def work() -> None:
        from v2xnode.config import CONFIG_FILE, load_config

        load_config(data)
        output.say(f"{data / CONFIG_FILE} is fine.")
        output.result({"ok": True})

    output.guarded(work)


def doctor(data: DataOption, as_json: JsonOption = False) -> None:
    """Look at clock, disk, key, configuration, network and devices, and say what to do. Exit 1 if any is wrong."""
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

    findings = [_clock(), _disk(data), _owner(data)]
    try:
        config = load_config(data)
        load_identity(data)
        findings.append(_finding("configuration", True, "it reads"))
    except NodeError as problem:
        findings.append(_finding("configuration", False, problem.sentence))
        config = Config()
    return [*findings, *await _network(config), *await _devices(config)]


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


async def _network(config: "Config") -> Findings:
    from transports.coap.probe import probe
    from v2xnode.bearers import coap_settings

    if not config.coap.enabled:
        return [_finding("coap", True, "it is switched off")]
    return [
        _finding(f"coap {each.code}", each.ok, each.sentence, each.remedy or "")
        for each in await probe(coap_settings(config))
    ]


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
