"""What peers have signed and our owner has not answered: payments to confirm, nets to sign, proposals to agree to."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ledger.entry import EntryType
from ledger.store.view import StoredEntry, View
from market.terms import Net, Pay
from v2xnode.settling.accounts import peers
from v2xnode.settling.answers import is_answered, is_crossed, paired
from v2xnode.settling.signing import short_amount
from v2xnode.settling.trades import trades


@dataclass(frozen=True, slots=True)
class Waiting:
    """One of them. kind: payment | draw | net | resolution; digest: what the answer names; sentence: for people."""

    kind: str
    peer: bytes
    digest: bytes
    sentence: str

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {"kind": self.kind, "peer": self.peer.hex(), "hash": self.digest.hex(), "sentence": self.sentence}


def waiting(view: View, *, peer: bytes | None = None) -> list[Waiting]:
    """All of them, or one peer's: payments and nets of each peer, oldest first, then proposals in disputes."""
    chosen = peers(view) if peer is None else [peer]
    found = [each for one in chosen for each in (*_payments(view, one), *_nets(view, one))]
    return [*found, *(each for each in _proposals(view) if peer in (None, each.peer))]


def _payments(view: View, peer: bytes) -> Iterator[Waiting]:
    for stored in view.apart(EntryType.PAY, peer):
        said = _unanswered(view, stored)
        if isinstance(said, Pay) and not is_crossed(view, stored, said):
            kind = "payment" if said.draw is None else "draw"
            what = "has got" if said.received else "has paid"
            by = said.means.name.lower() + (f", {said.reference!r}" if said.reference else "")
            amount = short_amount(said.amount_micro, said.currency)
            yield Waiting(kind, peer, stored.hash, f"says that it {what} {amount} ({by})")


def _nets(view: View, peer: bytes) -> Iterator[Waiting]:
    """The newest: it takes the place of those before it."""
    for stored in view.apart(EntryType.NET, peer)[-1:]:
        said = _unanswered(view, stored)
        if isinstance(said, Net):
            lines = [short_amount(line.mirrored.remaining_micro, line.currency) for line in said.lines]
            yield Waiting("net", peer, stored.hash, f"proposes a net of {', '.join(lines)} owed to us")


def _unanswered(view: View, stored: StoredEntry) -> Net | Pay | None:
    found = paired(view, stored.hash)
    return None if found is None or is_answered(view, *found) else found[1]


def _proposals(view: View) -> Iterator[Waiting]:
    for told in trades(view):
        proposal = told.resolving.proposed(own=False)
        if proposal is not None and told.parked is not None:
            wanted = f"proposes {proposal.message.agreed_wh} Wh for trade {told.request_id.hex()}"
            yield Waiting("resolution", told.peer, proposal.digest, wanted)
