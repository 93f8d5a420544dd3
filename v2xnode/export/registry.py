"""Exporters by name: the shipped ones, and what other distributions offer as entry points `v2xnode.exporters`."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from typing import Final, cast

from v2xnode.export.errors import ExporterUnknown
from v2xnode.export.interface import Exporter

ENTRY_POINT_GROUP: Final = "v2xnode.exporters"

SHIPPED: Final = ("csv", "jsonl", "ocmf", "ocpi")
"""Each the module of that name in this package, imported when it is asked for; they can't be replaced."""


def exporter_names() -> tuple[str, ...]:
    """All formats that are installed here."""
    return tuple(sorted({*SHIPPED, *entry_points(group=ENTRY_POINT_GROUP).names}))


def find_exporter(name: str) -> Exporter:
    """The exporter of this name. Raises ExporterUnknown, naming what is installed."""
    if name in SHIPPED:
        return _loaded(name, partial(_shipped, name))
    for point in entry_points(group=ENTRY_POINT_GROUP, name=name):
        return _loaded(name, point.load)
    raise ExporterUnknown(f"No format {name!r} is installed here; there are {', '.join(exporter_names())}.")


def _shipped(name: str) -> object:
    return import_module(f"v2xnode.export.{name}").export


def _loaded(name: str, load: Callable[[], object]) -> Exporter:
    try:
        exporter = load()
    except (ImportError, AttributeError) as error:
        raise ExporterUnknown(f"The format {name!r} does not load: {error}") from error
    if not callable(exporter):
        raise ExporterUnknown(f"The format {name!r} is not a callable.")
    return cast(Exporter, exporter)
