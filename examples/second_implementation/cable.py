"""The client's end of an AC cable (docs/safety.md, `ac_outlet`, follower).

The hardware is the simulated plant's: a JSON object a line over a Unix socket. That is no part of the protocol;
another device would have another file like this one.
"""

import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from examples.second_implementation.keys import need

MAINS_MV = (207_000, 253_000)
"""230 V within a tenth (EN 50160)."""
TOUCHABLE_MV = 60_000
ANSWER_S = 2.0
READINGS_KEPT = 256
PATTERN, VERIFIED, PRECHARGED, CLOSED = 1, 2, 3, 4


class Plant:
    """One terminal of the plant and the meter of the same name."""

    def __init__(self, path: str, terminal: str) -> None:
        self._terminal = terminal
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(ANSWER_S)
        self._socket.connect(path)
        self._lines = self._socket.makefile("rb")

    def _ask(self, **request: Any) -> Any:
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        answer = json.loads(self._lines.readline())
        need("ok" in answer, f"The device refuses: {answer}")
        return answer["ok"]

    def sense(self) -> dict[str, Any]:
        return dict(self._ask(op="sense", terminal=self._terminal))

    def command(self, *commands: dict[str, Any]) -> None:
        self._ask(op="command", terminal=self._terminal, commands=list(commands))

    def reading(self) -> tuple[int, int]:
        """Time and register of the import, in ms and Wh."""
        read = self._ask(op="read", meter=self._terminal)
        return int(read["at_ms"]), int(read["import_wh"])

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


@dataclass(slots=True)
class Cable:
    """Walks the follower's steps; `step` and `pattern` are what Plug tells the provider."""

    plant: Plant
    step: int = 0
    pattern: int = 0
    readings: list[tuple[int, int]] = field(default_factory=list)
    _off: bool = False

    def begin(self) -> None:
        """Lock, find nothing live, and ask for the check by the pilot."""
        need(abs(self.plant.sense()["output_voltage_mv"]) < TOUCHABLE_MV, "The cable is live before contact.")
        self.plant.command({"do": "cable_check", "on": False}, {"do": "lock"}, {"do": "pilot_ready", "on": True})

    def look(self, peer: dict[str, Any] | None, allowed: bool) -> None:
        """Go as far as this look at the path lets us. peer: the provider's newest Plug. Raises ProtocolError."""
        self.readings = [*self.readings, self.plant.reading()][-READINGS_KEPT:]
        if self._off:
            return
        sense = self.plant.sense()
        need(sense["plugged"] and sense["locked"] and not sense["faults"], f"The plug has a fault: {sense}")
        if sense["pilot"] != "C" or not sense["earth_ok"]:
            need(self.step == 0, "Pilot or protective earth is lost.")
        elif self.step == 0 and sense["pattern_read"] is not None:
            self.step, self.pattern = PATTERN, sense["pattern_read"]
        elif self.step == PATTERN and peer is not None:
            need(peer["pattern"] == self.pattern, "This cable leads to another outlet: wrong plug.")
            self.step = VERIFIED
        elif self.step == VERIFIED and allowed and MAINS_MV[0] <= sense["output_voltage_mv"] <= MAINS_MV[1]:
            self.plant.command({"do": "close"})
            self.step = CLOSED

    def verified(self, peer: dict[str, Any] | None) -> bool:
        """The path is the agreement's, from both sides."""
        return self.step >= VERIFIED and peer is not None and peer["step"] >= VERIFIED

    def off(self) -> None:
        """Power off at our end; the lock opens once the cable is dead."""
        if not self._off:
            self.plant.command({"do": "open"})
            self._off = True

    def unlock(self) -> None:
        if abs(self.plant.sense()["output_voltage_mv"]) < TOUCHABLE_MV:
            self.plant.command({"do": "unlock"})

    def register_at(self, at_ms: int) -> int | None:
        """Our register, interpolated; None before a later reading is there."""
        return interpolated(self.readings, at_ms)


def interpolated(readings: Sequence[tuple[int, int]], at_ms: int) -> int | None:
    """The register at `at_ms`, between two readings; None where there is none at or after it."""
    if not readings or readings[-1][0] < at_ms:
        return None
    later = next(number for number, (time_ms, _) in enumerate(readings) if time_ms >= at_ms)
    (t1, after), (t0, before) = readings[later], readings[max(0, later - 1)]
    return after if t1 <= t0 or at_ms < t0 else before + (after - before) * (at_ms - t0) // (t1 - t0)
