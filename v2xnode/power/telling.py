"""What was last told to the peer of the plug check, and when to tell it again."""

from v2xnode.power.events import PlugReport, TellPlug

RETELL_MS = 2_000
"""A Plug message may be lost: the newest is told again until both sides are through."""

MAX_RETELLS = 15
"""After closing, the peer hears it for as long as it waits for it (30 s)."""


class Telling:
    """The newest report of one round. Each holds all that was told before, so that older ones need no repeating."""

    def __init__(self) -> None:
        self._told: PlugReport | None = None
        self._told_at_ms = 0
        self._retells = 0

    @property
    def due_ms(self) -> int | None:
        """When the newest report is to be told again, None when it is not."""
        if self._told is None or self._retells >= MAX_RETELLS:
            return None
        return self._told_at_ms + RETELL_MS

    def tell(self, report: PlugReport, now_ms: int) -> TellPlug:
        """A new report."""
        self._told, self._told_at_ms = report, now_ms
        return TellPlug(report)

    def again(self, now_ms: int, *, counted: bool) -> tuple[TellPlug, ...]:
        """The newest report once more if it is due. counted: it counts towards `MAX_RETELLS`."""
        if self._told is None or self.due_ms is None or now_ms < self.due_ms:
            return ()
        self._retells += counted
        return (self.tell(self._told, now_ms),)
