"""What it took a client to get from its first byte to Start; kept for the newest trades only."""

from dataclasses import dataclass
from typing import Any

from v2xnode.links import Traffic

MAX_SET_UPS = 1_000
"""Set-ups remembered; those of older trades are forgotten."""


@dataclass(slots=True)
class SetUp:
    """One set-up. Times are real milliseconds."""

    began_ms: int
    bearer: str
    setup_ms: int = 0
    round_trips: int = 0
    frame_bytes: int = 0

    def as_json(self) -> dict[str, Any]:
        return {
            "bearer": self.bearer,
            "setup_ms": self.setup_ms,
            "setup_round_trips": self.round_trips,
            "setup_bytes": self.frame_bytes,
        }


class SetUps:
    """The set-ups of this node's own needs, by request id."""

    def __init__(self) -> None:
        self._known: dict[bytes, SetUp] = {}

    def begin(self, request_id: bytes, began_ms: int, bearer: str) -> None:
        """An agreement was reached over `bearer`, for a need that began at `began_ms`."""
        self._known[request_id] = SetUp(began_ms, bearer)
        while len(self._known) > MAX_SET_UPS:
            del self._known[next(iter(self._known))]

    def started(self, request_id: bytes, now_ms: int, traffic: Traffic) -> None:
        """The provider said Start."""
        noted = self._known.get(request_id)
        if noted is not None:
            noted.setup_ms = now_ms - noted.began_ms
            noted.round_trips, noted.frame_bytes = traffic.round_trips, traffic.frame_bytes

    def as_json(self, request_id: bytes) -> dict[str, Any]:
        """For people and programs; empty where nothing is known."""
        found = self._known.get(request_id)
        return {} if found is None else found.as_json()
