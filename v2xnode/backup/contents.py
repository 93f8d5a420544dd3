"""What a backup holds, and how its files stand in one stream: a line of JSON that lists them, then their bytes.

{"form": "v2x-backup/1", "node": hex, "at_ms": UTC, "files": [{"name", "bytes"}, ...]}\\n, file, file, ...
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from v2xnode.backup.sealed import Unopened
from v2xnode.config import CONFIG_FILE, DATABASE_FILE
from v2xnode.identity import KEY_FILE, PUBLIC_FILE
from v2xnode.meter_key import METER_KEY_FILE

FORM = "v2x-backup/1"

FILES = (CONFIG_FILE, DATABASE_FILE, PUBLIC_FILE, METER_KEY_FILE, KEY_FILE)
"""In the order in which they are put in place: without its key, the last, a directory is no node's."""
NEEDED = frozenset({CONFIG_FILE, DATABASE_FILE, KEY_FILE})

MAX_LIST_BYTES = 4_096
"""Of the first line: five names and a few numbers."""
PIECE_BYTES = 256 * 1024
"""Read and written at a time."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of a backup and its size."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Contents:
    """The first line of a backup. node: its name. at_ms: when it was made, by that machine's clock."""

    node: bytes
    at_ms: int
    files: tuple[Listed, ...]

    def line(self) -> bytes:
        files = [{"name": each.name, "bytes": each.size} for each in self.files]
        said = {"form": FORM, "node": self.node.hex(), "at_ms": self.at_ms, "files": files}
        return json.dumps(said, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> "Contents":
        """Raises Unopened for a list of another form, of files that are none of a node's, or of too few."""
        try:
            said = json.loads(line)
            files = tuple(_listed(each) for each in said["files"])
            contents = cls(bytes.fromhex(said["node"]), int(said["at_ms"]), files)
        except (ValueError, KeyError, TypeError, RecursionError):
            raise _foreign() from None
        names = [each.name for each in files]
        if said.get("form") != FORM or len(set(names)) < len(names) or not NEEDED <= set(names) <= set(FILES):
            raise _foreign()
        return contents


def _listed(said: dict[str, Any]) -> Listed:
    listed = Listed(str(said["name"]), int(said["bytes"]))
    if listed.size < 0:
        raise ValueError(listed.size)
    return listed


def _foreign() -> Unopened:
    return Unopened("The backup is of another version of this software.", code="unknown_version")


def pieces_of(file: BinaryIO) -> Iterator[bytes]:
    """All bytes of a file."""
    while piece := file.read(PIECE_BYTES):
        yield piece
