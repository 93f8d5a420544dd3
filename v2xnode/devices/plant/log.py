"""The plant's log: the evidence of what the terminals did, each entry with the exact world millisecond."""

from collections import deque
from collections.abc import Callable
from typing import Any

MAX_ENTRIES = 50_000
"""Kept in memory: a day with some thirty changes a minute; what is to be kept longer goes to `sink`."""

Entry = dict[str, Any]


class PlantLog:
    """Entries are maps with `at_ms`, `what` and what belongs to it:

    `contactor` (terminal, closed, why), `permit` (terminal, max_power_w, until_ms) and `permit_ended` (terminal, why),
    `power` (terminal, power_w: 0 only for a true 0 W), `lock` (terminal, locked), `plug` (cable, provider, client),
    `fault` (terminal, fault, on), `violation` (terminal, rule: something that no node should ever have asked for).
    """

    def __init__(self, sink: Callable[[Entry], None] | None = None) -> None:
        self.entries: deque[Entry] = deque(maxlen=MAX_ENTRIES)
        self._sink = sink

    def write(self, at_ms: int, what: str, **details: object) -> None:
        entry: Entry = {"at_ms": at_ms, "what": what, **details}
        self.entries.append(entry)
        if self._sink is not None:
            self._sink(entry)

    def of(self, what: str, terminal: str | None = None) -> list[Entry]:
        """The entries of one kind, of one terminal or of all, oldest first."""
        return [e for e in self.entries if e["what"] == what and terminal in (None, e.get("terminal"))]
