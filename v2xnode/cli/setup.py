"""Commands before a node runs: make its directory, check its configuration."""

import os
import sys
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

import typer

from v2xnode.cli.output import DataOption, JsonOption, Output, make_directory
from v2xnode.cli.revocation_paper import print_revocation_key
from v2xnode.errors import UsageError
from v2xnode.identity import create_identity
from v2xnode.revocation_key import RevocationKey

Kind = Literal["vehicle", "home", "load"]
Strangers = Literal["ask", "yes", "no"]
Answer = TypeVar("Answer", bound=str)
KINDS: Final[tuple[Kind, ...]] = ("vehicle", "home", "load")
STRANGERS: Final[tuple[Strangers, ...]] = ("ask", "yes", "no")

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

# Bearers, cheapest first: where a peer is on several, the first that works carries the trade.
prefer = ["coap", "ble", "libp2p"]

[coap]
# Over any IP network. Discovery on this machine only, for trying things out:
loopback = false

[ble]
# Where there is no network: nodes within some ten metres. `v2xnode doctor` says what the radio lacks.
enabled = {ble}

[libp2p]
# For sites with a network of their own and for coordinators; needs v2xnode[libp2p].
enabled = false

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


def init(
    data: DataOption,
    name: Annotated[str, typer.Option(help="As your phone will show it.")] = "",
    kind: Annotated[Kind | None, typer.Option(help="What it is.")] = None,
    strangers: Annotated[Strangers | None, typer.Option(help="May strangers trade with it?")] = None,
    plant: Annotated[Path | None, typer.Option(help="Socket of a simulated plant, to try without hardware.")] = None,
    place: Annotated[str, typer.Option(help="This node's place in the plant, e.g. car_a.")] = "",
    revocation_key: Annotated[
        bool | None, typer.Option(help="Print a key for paper that can take a stolen signing key's power away.")
    ] = None,
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
        key = RevocationKey.new(os.urandom) if _wants_key(revocation_key) else None
        identity = create_identity(data, key.commitment if key else b"")
        (data / CONFIG_FILE).write_text(text)
        output.say(f"This node is {identity.node_id}.")
        if key is not None:
            print_revocation_key(output, key)
        output.say(f"Read {data / CONFIG_FILE}, then `v2xnode run --data {data}`.")
        printed = {"revocation_key": key.text} if key else {}
        output.result({"node": identity.node_id, "data": str(data), **printed})

    output.guarded(work)


def _wants_key(said: bool | None) -> bool:
    """Asked for on a terminal where nothing was said; without one, only who asks for a key gets it printed."""
    if said is not None or not sys.stdin.isatty():
        return bool(said)
    question = "Print a revocation key, for paper? It can take this node's signing key away if it is ever stolen"
    return typer.confirm(question, default=True, err=True)


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
        ble="true" if kind == "vehicle" else "false",
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
        from v2xnode.bearers import check_bearers
        from v2xnode.config import CONFIG_FILE, load_config

        check_bearers(load_config(data))
        output.say(f"{data / CONFIG_FILE} is fine.")
        output.result({"ok": True})

    output.guarded(work)
