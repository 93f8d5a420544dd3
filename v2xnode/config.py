"""What an installer sets: one commented TOML file in the data directory, overridden by `V2XNODE_*` variables.

Limits that people change while the node runs start from here and then live in the database.
"""

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from market.errors import TermsInvalid
from market.terms import Connector, Earthing, Electrical, Profile
from market.units import MAX_ENERGY_WH, MAX_POWER_W, MAX_PRICE_MICRO_PER_KWH, Service
from v2xnode.clock import MAX_SPEED
from v2xnode.errors import ConfigError

CONFIG_FILE = "config.toml"
DATABASE_FILE = "node.db"
MAX_CONFIG_BYTES = 65_536
"""A hand-written file is a few kilobytes; a larger one is a mistake."""

ServiceName = Literal["V2V", "V2L", "V2H", "V2B"]
NodeKey = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Permille = Annotated[int, Field(ge=0, le=1000)]
Energy = Annotated[int, Field(ge=0, le=MAX_ENERGY_WH)]
Power = Annotated[int, Field(ge=0, le=MAX_POWER_W)]
Price = Annotated[int, Field(ge=0, le=MAX_PRICE_MICRO_PER_KWH)]
Amount = Annotated[int, Field(ge=0, le=10**12)]


class Visibility(StrEnum):
    """Who may see this node (protocol, "Who may see us")."""

    CLOSED = "closed"
    KNOWN = "known"
    OPEN = "open"


class Section(BaseModel):
    """A table of the file: nothing unknown in it, nothing converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class NodeSection(Section):
    name: Annotated[str, Field(min_length=1, max_length=40)] = "my node"
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "EUR"
    visibility: Visibility = Visibility.KNOWN
    time_zone: str = "UTC"
    """Name of the site's time zone (IANA), for time-of-use prices and the day of the daily cap."""
    status_period_ms: Annotated[int, Field(ge=250, le=60_000)] = 1_000
    """How often both sides of a delivery that we sell give a sign of life; after three that are missing a V2V provider
    switches off. Slower only on links that can't carry it, such as LoRa."""
    prefer: Annotated[list[str], Field(max_length=8)] = ["coap", "ble", "libp2p"]
    """Bearers, cheapest first: where a peer is on several, the first that works carries the trade."""


class ClockSection(Section):
    """Only demonstrations and tests set this; all nodes of one simulated world share it."""

    speed: Annotated[int, Field(ge=1, le=MAX_SPEED)] = 1
    world_origin_ms: int = 0
    real_origin_ms: int = 0


class LedgerSection(Section):
    """Where the ledger is kept."""

    url: SecretStr = SecretStr("")
    """Of a PostgreSQL database (libpq's form), which needs v2xnode[postgres]; empty: a file in the data directory."""

    @field_validator("url")
    @classmethod
    def _known(cls, url: SecretStr) -> SecretStr:
        if url.get_secret_value() and not url.get_secret_value().startswith("postgresql://"):
            raise ValueError("it is empty, or begins with postgresql://")
        return url


class CoapSection(Section):
    enabled: bool = True
    host: str = ""
    """Address to serve on; empty: every address."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """0: any free port; discovery tells it."""
    loopback: bool = False
    """Discovery on this machine only."""
    interface: str = ""
    """Name of the one network interface for discovery; empty: all."""
    discovery_port: Annotated[int, Field(ge=1, le=65_535)] = 5_683
    """The shared port of discovery; another one makes a network of its own, for tests."""


class BleSection(Section):
    enabled: bool = False
    adapter: Annotated[str, Field(max_length=32)] = ""
    """The radio, e.g. hci0; empty: the system's first."""
    peripheral_adapter: Annotated[str, Field(max_length=32)] = ""
    """A second radio to be seen and dialled on, so that looking around never waits for it; empty: the same one."""
    air: Annotated[str, Field(max_length=200)] = ""
    """Only demonstrations and tests set this: the place of a virtual air instead of a radio."""


class Libp2pSection(Section):
    """For sites and coordinators, which have a network; needs v2xnode[libp2p]."""

    enabled: bool = False
    host: str = ""
    """Numeric address to listen on; empty: every IPv4 address."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """0: any free port."""
    bootstrap: Annotated[list[str], Field(max_length=32)] = []
    """Addresses of peers that a look around asks, e.g. /ip4/192.0.2.7/tcp/4001/p2p/12D3KooW..."""
    mdns: bool = False
    """Be found, and look, by multicast DNS on the local network."""
    fixed: bool = False
    """A site that may be known by its address: the peer id is the node's key. A vehicle has a new one at each start."""
    microgrid: Annotated[str, Field(max_length=63)] = ""
    """Pass on the signed notices of this microgrid; only where fixed."""


class PathSection(Section):
    """One connector of this node, with the devices behind it."""

    profile: Annotated[str, Field(pattern=r"^(DC_BPT|DC_CONVERTER|AC_OUTLET|AC_ISLAND)$")]
    role: Literal["provider", "client"]
    options: dict[str, str] = {}
    """What the driver wants to know."""


class DevicesSection(Section):
    driver: str = "simulated"
    paths: list[PathSection] = []


class ElectricalSection(Section):
    connectors: list[str] = ["CCS2"]
    profiles: list[str] = []
    voltage_min_mv: Annotated[int, Field(ge=0, le=2_000_000)] = 0
    voltage_max_mv: Annotated[int, Field(ge=0, le=2_000_000)] = 0
    continuous_va: Annotated[int, Field(ge=1, le=MAX_POWER_W)] = 3_600
    peak_va: Power = 0
    phases: Annotated[int, Field(ge=0, le=3)] = 0
    frequency_millihz: Annotated[int, Field(ge=0, le=70_000)] = 0
    earthing: Literal["IT", "TN", "TT"] = "IT"
    isolated: bool = True
    grid_forming: bool = False

    def record(self) -> Electrical:
        """The record that peers are shown. Raises ConfigError for a name that is none, TermsInvalid for a bound."""
        if self.voltage_min_mv > self.voltage_max_mv:
            raise TermsInvalid("Electrical", "voltage_min_mv", "is above voltage_max_mv")
        return Electrical(
            connectors=tuple(_named(Connector, name, "connectors") for name in self.connectors),
            profiles=tuple(_named(Profile, name.upper(), "profiles") for name in self.profiles),
            voltage_min_mv=self.voltage_min_mv,
            voltage_max_mv=self.voltage_max_mv,
            continuous_va=self.continuous_va,
            peak_va=self.peak_va,
            phases=self.phases,
            frequency_millihz=self.frequency_millihz,
            earthing=Earthing[self.earthing],
            isolated=self.isolated,
            grid_forming=self.grid_forming,
        )


class PriceStepSection(Section):
    from_minute: Annotated[int, Field(ge=0, le=1_439)]
    """Local minute of the day from which this price counts."""
    price_micro_per_kwh: Price


class OwnerSection(Section):
    """The owner's limits as they are when the node first starts."""

    provides: list[ServiceName] = []
    reserve_permille: Permille = 300
    departure_at_ms: int = 0
    """UTC; 0: none planned."""
    departure_energy_wh: Energy = 0
    max_power_w: Power = MAX_POWER_W
    daily_cap_wh: Energy = MAX_ENERGY_WH
    price_tell_micro_per_kwh: Price = 0
    price_stop_micro_per_kwh: Price = 0
    strangers: Literal["ask", "yes", "no"] = "ask"
    only_listed: bool = False
    allow: list[NodeKey] = []
    block: list[NodeKey] = []
    debt_cap_micro: Amount = 50_000_000
    stranger_debt_cap_micro: Amount = 20_000_000
    say_would_pass: bool = True
    exposure_wh: dict[ServiceName, Annotated[int, Field(ge=2, le=MAX_ENERGY_WH)]] = {}
    price_micro_per_kwh: Price = 300_000
    price_steps: list[PriceStepSection] = []
    """Time of use; empty: the fixed price."""
    session_fee_micro: Amount = 0
    tax_permyriad: Annotated[int, Field(ge=0, le=10_000)] = 0


class OcpiSection(Section):
    """Who and where this node is for OCPI 2.2.1; only its export reads it. Empty: not said."""

    country_code: Annotated[str, Field(pattern=r"^([A-Z]{2})?$")] = ""
    """ISO 3166-1 alpha-2, of the party that issues the records."""
    party_id: Annotated[str, Field(pattern=r"^([A-Z0-9]{3})?$")] = ""
    """The party's three characters (eMI3)."""
    country: Annotated[str, Field(pattern=r"^([A-Z]{3})?$")] = ""
    """ISO 3166-1 alpha-3, of the place."""
    address: Annotated[str, Field(max_length=45)] = ""
    city: Annotated[str, Field(max_length=45)] = ""
    postal_code: Annotated[str, Field(max_length=10)] = ""
    latitude: Annotated[str, Field(pattern=r"^(-?[0-9]{1,2}\.[0-9]{5,7})?$")] = ""
    longitude: Annotated[str, Field(pattern=r"^(-?[0-9]{1,3}\.[0-9]{5,7})?$")] = ""


class Config(BaseSettings):
    """The whole configuration, checked."""

    model_config = SettingsConfigDict(
        env_prefix="V2XNODE_", env_nested_delimiter="__", extra="forbid", frozen=True, use_attribute_docstrings=True
    )

    node: NodeSection = NodeSection()
    clock: ClockSection = ClockSection()
    ledger: LedgerSection = LedgerSection()
    coap: CoapSection = CoapSection()
    ble: BleSection = BleSection()
    libp2p: Libp2pSection = Libp2pSection()
    devices: DevicesSection = DevicesSection()
    electrical: ElectricalSection = ElectricalSection()
    owner: OwnerSection = OwnerSection()
    ocpi: OcpiSection = OcpiSection()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Variables win over the file."""
        return (env_settings, init_settings)

    @property
    def services(self) -> frozenset[Service]:
        return frozenset(Service[name] for name in self.owner.provides)

    def ledger_at(self, data: Path) -> Path | str:
        """The ledger of a node in this data directory: its file, or the URL of its database."""
        return self.ledger.url.get_secret_value() or data / DATABASE_FILE


def load_config(data: Path) -> Config:
    """The configuration of a data directory. Raises ConfigError that names the file, the place and the mend."""
    path = data / CONFIG_FILE
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise ConfigError(f"No {path}: run `v2xnode init --data {data}` first.", code="config_missing") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{path} can't be read: {problem}") from None
    return parse_config(text, str(path))


def parse_config(text: str, name: str = CONFIG_FILE) -> Config:
    """Read a file's text. Raises ConfigError."""
    if len(text) > MAX_CONFIG_BYTES:
        raise ConfigError(f"{name} is larger than {MAX_CONFIG_BYTES} bytes.")
    try:
        config = Config(**tomllib.loads(text))
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"{name} is no TOML: {problem}") from None
    except ValidationError as problem:
        raise ConfigError("; ".join(_explain(name, text, dict(each)) for each in problem.errors())) from None
    if config.electrical.profiles:
        try:
            config.electrical.record()
        except TermsInvalid as problem:
            raise ConfigError(f"{name}: [electrical]: {problem}") from None
    return config


def _explain(name: str, text: str, problem: dict[str, Any]) -> str:
    place = [str(part) for part in problem["loc"]]
    line = _line_of(text, place)
    where = f"{name}:{line}" if line else name
    return f"{where}: {'.'.join(place)}: {problem['msg']}"


def _line_of(text: str, place: list[str]) -> int | None:
    """The line of a key inside its table, as an editor counts, if it is in the file."""
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if bare.startswith("["):
            table = bare.strip("[]")
        elif len(place) > 1 and table == place[0] and bare.split("=")[0].strip() == place[1]:
            return number
        if len(place) == 1 and bare.strip("[]") == place[0]:
            return number
    return None


E = TypeVar("E", Connector, Profile)


def _named(enum: type[E], name: str, field: str) -> E:
    try:
        return enum[name]
    except KeyError:
        known = ", ".join(member.name for member in enum)
        raise ConfigError(f"electrical.{field}: {name} is none of {known}.") from None
