"""The ledger itself, line by line: all of it, or the messages and entries of one trade."""

from collections.abc import Iterator

from ledger.files.export import export_jsonl
from v2xnode.export.interface import Source


def export(source: Source) -> Iterator[str]:
    """See `ledger.files.export.export_jsonl`."""
    return export_jsonl(source.ledger, source.only)
