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


class _Folder:
    """A directory within: it has a name, and what lies in it has names of its own."""


@dataclass(slots=True)
class Platter:
    """The disk beneath one directory, which is there, whatever happens. Names are paths from it."""

    directory: Path
    moment: int = SYNCED
    _names: dict[str, _File | _Folder] = field(default_factory=dict)
    _changed: dict[str, _Past[_File | _Folder | None]] = field(default_factory=dict)
    _open: dict[int, _File | str] = field(default_factory=dict)
    _renamed: bool = False

    def put(self, name: str, data: bytes) -> None:
        """A file that is synced."""
        self._names[name] = _File(data)

    def replay(self, log: Iterable[Record]) -> None:
        """What a process did, up to its death. Records of other directories are passed over."""
        for record in log:
            self.moment += 1
            if record.file >= 0:
                self._used(record)
            else:
                self._renamed_or_gone(record)
        self._open.clear()

    @property
    def seen(self) -> Mapping[str, bytes]:
        """The files as programs see them: what a process leaves that is only killed."""
        return {name: bytes(file.seen) for name, file in self._names.items() if isinstance(file, _File)}

    def cut(self, keep: Keep) -> Mapping[str, bytes]:
        """The files after a power cut. From here on they are what was synced."""
        names = {**self._names, **self._lasting_names(keep)}
        there = {name for name, what in names.items() if what is not None}
        whole = {name: names[name] for name in there if {".", *there} >= {str(each) for each in Path(name).parents}}
        lasting = {name: file.lasting(keep) for name, file in whole.items() if isinstance(file, _File)}
        self._names = {name: what for name, what in whole.items() if isinstance(what, _Folder)}
        for name, data in lasting.items():
            self.put(name, data)
        self._changed.clear()
        return lasting

    def _lasting_names(self, keep: Keep) -> Mapping[str, _File | _Folder | None]:
        """Each for itself; where something was renamed, all as they were at one moment, for that is never half done."""
        if not self._renamed:
            return {name: past.lasting(keep) for name, past in self._changed.items()}
        moments = sorted({moment for past in self._changed.values() for moment in past.moments})
        until = moments[keep(moments)] if moments else SYNCED
        return {name: past.lasting(up_to(until)) for name, past in self._changed.items()}

    def _renamed_or_gone(self, record: Record) -> None:
        paths = [self._within(path) for path in record.data.decode().split("\0")]
        match record.operation, paths:
            case Operation.UNLINK, [str(name)]:
                self._name(name, None)
            case Operation.MKDIR, [str(name)]:
                self._name(name, _Folder())
            case Operation.RENAME, [str(old), str(new)]:
                what = self._names[old]
                self._name(old, None)
                self._name(new, what)
                self._renamed = True

    def _used(self, record: Record) -> None:
        if record.operation is Operation.OPEN:
            self._opened(record)
        elif record.operation is Operation.CLOSE:
            self._open.pop(record.file, None)
        elif isinstance(what := self._open.get(record.file), _File):
            self._written(what, record)
        elif what is not None and record.operation is Operation.SYNC:
            self._sync_names(what)

    def _opened(self, record: Record) -> None:
        name = self._within(record.data.decode())
        if name is None:
            return
        if record.created:
            self._name(name, _File())
        what = self._names.get(name)
        self._open[record.file] = what if isinstance(what, _File) else name
        if isinstance(what, _File) and record.emptied:
            what.resize(self.moment, 0)

    def _within(self, path: str) -> str | None:
        """The name by which it is known here; None for what lies elsewhere."""
        return str(Path(path).relative_to(self.directory)) if Path(path).is_relative_to(self.directory) else None

    def _name(self, name: str, what: _File | _Folder | None) -> None:
        self._changed.setdefault(name, _Past(self._names.pop(name, None))).add(self.moment, what)
        if what is not None:
            self._names[name] = what

    def _sync_names(self, folder: str) -> None:
        """Those that stand in that folder itself."""
        self._changed = {name: past for name, past in self._changed.items() if str(Path(name).parent) != folder}
        self._renamed = self._renamed and bool(self._changed)

    def _written(self, file: _File, record: Record) -> None:
        match record.operation:
            case Operation.SYNC:
                file.sync()
            case Operation.WRITE:
                file.write(self.moment, record.offset, record.data)
            case Operation.RESIZE:
                file.resize(self.moment, record.offset)


def up_to(stop: int) -> Keep:
    """All that happened up to a moment, and nothing after it."""
    return lambda moments: max(0, bisect_right(moments, stop) - 1)


def ways(chance: random.Random, until: int) -> Mapping[str, Keep]:
    """What a disk may do with what was not synced, where `until` is the newest moment."""
    stop = until - chance.randint(0, chance.choice(_BACK))
    return {
        "nothing lasts": lambda moments: 0,
        "all lasts": lambda moments: len(moments) - 1,
        "all up to a moment": up_to(stop),
        "any of it": lambda moments: chance.randrange(len(moments)),
        "little of it": lambda moments: len(moments) - 1 if chance.random() < 0.1 else 0,
        "most of it": lambda moments: 0 if chance.random() < 0.1 else len(moments) - 1,
    }
