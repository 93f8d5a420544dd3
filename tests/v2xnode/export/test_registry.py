"""Exporters are found by name: ours, and those of other distributions."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from v2xnode.export import registry
from v2xnode.export.csv import export as csv_export
from v2xnode.export.errors import ExporterUnknown
from v2xnode.export.interface import Source


def foreign(source: Source) -> Iterator[str]:
    yield source.ledger.node.hex()


NO_CALLABLE = "text"


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another distribution has put up these; one of them takes a name of ours."""
    points = EntryPoints(
        EntryPoint(name, f"{__name__}:{value}", registry.ENTRY_POINT_GROUP)
        for name, value in (("foreign", "foreign"), ("broken", "nowhere"), ("text", "NO_CALLABLE"), ("csv", "foreign"))
    )

    def found(group: str, name: str = "") -> EntryPoints:
        return points.select(group=group, name=name) if name else points.select(group=group)

    monkeypatch.setattr(registry, "entry_points", found)


def test_ours_and_others_are_named() -> None:
    assert registry.exporter_names() == ("broken", "csv", "foreign", "jsonl", "ocmf", "ocpi", "text")


def test_ours_can_not_be_replaced() -> None:
    assert registry.find_exporter("csv") is csv_export


def test_others_are_loaded() -> None:
    assert registry.find_exporter("foreign").__name__ == "foreign"  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["xml", "broken", "text"])
def test_what_is_none_is_refused(name: str) -> None:
    with pytest.raises(ExporterUnknown) as refusal:
        registry.find_exporter(name)
    assert (refusal.value.code, refusal.value.exit_code) == ("unknown_format", 2)
