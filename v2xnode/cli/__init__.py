"""The command line. Heavy rooms are imported by the command that needs them."""

import typer

from v2xnode.cli import (
    backup,
    bookkeeping,
    demo,
    devices,
    doctor,
    exporting,
    keys,
    ledger,
    looking,
    proving,
    running,
    setup,
    vouchers,
)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Peer-to-peer energy trading between vehicles, homes and loads.",
)
exporting.register(ledger.app)
bookkeeping.register(ledger.app)
proving.register(ledger.app)
app.add_typer(ledger.app, name="ledger")
app.add_typer(keys.app, name="key")
app.add_typer(devices.app, name="devices")
app.add_typer(setup.config_app, name="config")
vouchers.register(app)
setup.register(app)
doctor.register(app)
running.register(app)
looking.register(app)
backup.register(app)
demo.register(app)


def main() -> None:
    """The entry point of the program `v2xnode`."""
    app(prog_name="v2xnode")
