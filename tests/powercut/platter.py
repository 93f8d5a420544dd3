"""What a disk holds after a power cut, from the log of what programs did.

Synced is what lasts. Of all the rest a disk may keep anything: each sector of 512 bytes holds what it held at some
moment since its file was synced, a file's size is that of some moment too, and a name stands for what it stood for at
some moment since its directory was. Which, a `Keep` says.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Generic, TypeAlias, TypeVar

from tests.powercut.shim import Operation, Record

T = TypeVar("T")

SECTOR_BYTES: Final = 512
"""What a disk writes whole. Larger sectors tear less."""

SYNCED: Final = 0
"""The moment of what was synced last."""

_BACK: Final = (10, 100, 1_000)
"""Moments back from a cut: within a commit, some commits, a log."""

Keep: TypeAlias = Callable[[Sequence[int]], int]
"""Given the moments at which something changed, the synced one first: the index of what lasts."""


class _Past(Generic[T]):
    """Values at moments, the synced one first."""

    def __init__(self, synced: T) -> None:
        self.moments = [SYNCED]
        self.values = [synced]

    def add(self, moment: int, value: T) -> None:
        self.moments.append(moment)
        self.values.append(value)

    def lasting(self, keep: Keep) -> T:
        return self.values[keep(self.moments)]


class _File:
    """Its bytes as programs see them, and what of them was otherwise since it was synced."""

    def __init__(self, synced: bytes = b"") -> None:
        self.seen = bytearray(synced)
        self.sync()

    def sync(self) -> None:
        self._sectors: dict[int, _Past[bytes]] = {}
        self._size = _Past(len(self.seen))

    def write(self, moment: int, offset: int, data: bytes) -> None:
        end = offset + len(data)
        touched = range(offset // SECTOR_BYTES, -(-end // SECTOR_BYTES))
        self._change(moment, touched, max(end, len(self.seen)), offset, data)

    def resize(self, moment: int, size: int) -> None:
        touched = range(size // SECTOR_BYTES, -(-len(self.seen) // SECTOR_BYTES))
        self._change(moment, touched, size, size, b"")

    def lasting(self, keep: Keep) -> bytes:
        """Its bytes after the cut."""
        size = self._size.lasting(keep)
        image = bytearray(_sized(self.seen, -(-size // SECTOR_BYTES) * SECTOR_BYTES))
        for sector, past in self._sectors.items():
            start = sector * SECTOR_BYTES
            if start < size:
                image[start : start + SECTOR_BYTES] = past.lasting(keep)
        return bytes(image[:size])

    def _change(self, moment: int, sectors: Iterable[int], size: int, offset: int, data: bytes) -> None:
        for sector in sectors:
            if sector not in self._sectors:
                self._sectors[sector] = _Past(self._sector(sector))
        del self.seen[size:]
        self.seen.extend(bytes(size - len(self.seen)))
        self.seen[offset : offset + len(data)] = data
        for sector in sectors:
            self._sectors[sector].add(moment, self._sector(sector))
        if size != self._size.values[-1]:
            self._size.add(moment, size)

    def _sector(self, number: int) -> bytes:
        return _sized(self.seen[number * SECTOR_BYTES : (number + 1) * SECTOR_BYTES], SECTOR_BYTES)


def _sized(data: bytes | bytearray, size: int) -> bytes:
    return bytes(data[:size]).ljust(size, b"\0")


@dataclass(slots=True)
class Platter:
    """The disk beneath one directory, which holds no other. It is there, whatever happens."""

    directory: Path
    _names: dict[str, _File] = field(default_factory=dict)
    _changed: dict[str, _Past[_File | None]] = field(default_factory=dict)
    _open: dict[int, _File | None] = field(default_factory=dict)
    moment: int = SYNCED

    def replay(self, log: Iterable[Record]) -> None:
        """What a process did, up to its death. Records of other directories are passed over."""
        for record in log:
            self.moment += 1
            if record.operation is Operation.OPEN:
                self._opened(record)
            elif record.operation is Operation.UNLINK:
                self._unlinked(Path(record.data.decode()))
            elif record.file in self._open:
                self._used(record)
        self._open.clear()

    @property
    def seen(self) -> Mapping[str, bytes]:
        """The files as programs see them: what a process leaves that is only killed."""
        return {name: bytes(file.seen) for name, file in self._names.items()}

    def cut(self, keep: Keep) -> Mapping[str, bytes]:
        """The files after a power cut. From here on they are what was synced."""
        names: dict[str, _File | None] = {**self._names}
        names |= {name: past.lasting(keep) for name, past in self._changed.items()}
        lasting = {name: file.lasting(keep) for name, file in names.items() if file is not None}
        self._names = {name: _File(data) for name, data in lasting.items()}
        self._changed.clear()
        return lasting

    def _opened(self, record: Record) -> None:
        path = Path(record.data.decode())
        if path == self.directory:
            self._open[record.file] = None
        elif path.parent == self.directory:
            if record.created:
                self._name(path.name, _File())
            file = self._open[record.file] = self._names[path.name]
            if record.emptied:
                file.resize(self.moment, 0)

    def _unlinked(self, path: Path) -> None:
        if path.parent == self.directory:
            self._name(path.name, None)

    def _name(self, name: str, file: _File | None) -> None:
        self._changed.setdefault(name, _Past(self._names.pop(name, None))).add(self.moment, file)
        if file is not None:
            self._names[name] = file

    def _used(self, record: Record) -> None:
        file = self._open[record.file]
        if record.operation is Operation.CLOSE:
            del self._open[record.file]
        elif file is None:
            if record.operation is Operation.SYNC:
                self._changed.clear()
        else:
            self._written(file, record)

    def _written(self, file: _File, record: Record) -> None:
        match record.operation:
            case Operation.SYNC:
                file.sync()
            case Operation.WRITE:
                file.write(self.moment, record.offset, record.data)
            case Operation.RESIZE:
                file.resize(self.moment, record.offset)


def ways(chance: random.Random, until: int) -> Mapping[str, Keep]:
    """What a disk may do with what was not synced, where `until` is the newest moment."""
    stop = until - chance.randint(0, chance.choice(_BACK))
    return {
        "nothing lasts": lambda moments: 0,
        "all lasts": lambda moments: len(moments) - 1,
        "all up to a moment": lambda moments: max(0, bisect_right(moments, stop) - 1),
        "any of it": lambda moments: chance.randrange(len(moments)),
        "little of it": lambda moments: len(moments) - 1 if chance.random() < 0.1 else 0,
        "most of it": lambda moments: 0 if chance.random() < 0.1 else len(moments) - 1,
    }
