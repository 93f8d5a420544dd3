"""Who stands outside and never loses power: what each node told, and what it acknowledged.

A life writes it line by line, before anybody else hears; it is read when that life is over.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from ledger.entry import SignedEntry

Place: TypeAlias = tuple[bytes, bytes, int]
"""Node, epoch, seq."""


@dataclass(slots=True)
class Witness:
    """told: the hashes that were told for each place of a chain. held: what each node has acknowledged. noted: how
    often a life found something, by its name."""

    told: defaultdict[Place, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    held: defaultdict[bytes, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    noted: Counter[str] = field(default_factory=Counter)

    def told_by(self, node: bytes) -> Iterator[tuple[Place, set[bytes]]]:
        """What a node has told, by place."""
        return ((place, hashes) for place, hashes in self.told.items() if place[0] == node)

    @property
    def forks(self) -> int:
        """Places for which a node has signed, and told, more than one entry."""
        return sum(len(hashes) > 1 for hashes in self.told.values())

    def hear(self, lines: str) -> None:
        """What a life has said until its end; all of its last line is there, since one call wrote it."""
        for line in lines.splitlines():
            word, *rest = line.split("\t")
            match word, rest:
                case "told", [node, epoch, seq, hash_]:
                    self.told[bytes.fromhex(node), bytes.fromhex(epoch), int(seq)].add(bytes.fromhex(hash_))
                case "held", [holder, hash_]:
                    self.held[bytes.fromhex(holder)].add(bytes.fromhex(hash_))
                case "noted", [name, number]:
                    self.noted[name] += int(number)
                case _:
                    raise ValueError(f"a witness does not understand {line!r}")


@dataclass(frozen=True, slots=True)
class Mouth:
    """How a life speaks to the witness: by an open file that loses no power. `witness` is the life's own copy of it."""

    witness: Witness
    file: int

    def told(self, signed: SignedEntry) -> None:
        """It leaves the house: from here on the signer is bound to it."""
        entry = signed.entry
        self._say("told", entry.node.hex(), entry.epoch.hex(), entry.seq, signed.hash.hex())

    def held(self, holder: bytes, hash_: bytes) -> None:
        """The holder acknowledges it: nobody has to tell it again."""
        self._say("held", holder.hex(), hash_.hex())

    def note(self, name: str, number: int = 1) -> None:
        """Found so often."""
        self._say("noted", name, number)

    def _say(self, *words: object) -> None:
        line = "\t".join(map(str, words)) + "\n"
        os.write(self.file, line.encode())
        self.witness.hear(line)
