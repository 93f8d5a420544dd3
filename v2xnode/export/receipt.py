"""Making and checking receipt files of settled trades: docs/ledger.md, "Receipt file"."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ledger.entry import EntryType, SignedEntry
from ledger.errors import RemoteLedgerError
from ledger.files.receipt import Checked, Receipt
from ledger.message import MessageKind, SignedMessage
from ledger.proofs.note import MAX_SIGNATURES
from ledger.proofs.proving import HeldCheckpoint, cosignatures, covering_checkpoint, inclusion_proofs
from ledger.store.view import StoredEntry, View
from market.delivery import Account, HeldEntry, Standing
from market.terms import Accept, Close, Closed, Confirm, Dispute, Interval
from market.terms import Receipt as Metered
from v2xnode.export.dossier import Dossier, DossierRefused, read_dossier
from v2xnode.export.errors import ExportRefused
from v2xnode.settling.bill import held_from_accept
from v2xnode.settling.trades import Trade

METERING = (Interval, Metered, Dispute)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a receipt that holds shows, and what the trade comes to."""

    receipt: Receipt
    checked: Checked
    dossier: Dossier

    @property
    def is_proven(self) -> bool:
        """Whether it shows that the entries stand in the chain of the node that made it."""
        return self.checked.checkpoint is not None


def check_receipt(receipt: Receipt) -> Verdict:
    """Raises RemoteLedgerError or DossierRefused, whose code says what does not hold."""
    checked = receipt.check()
    return Verdict(receipt, checked, read_dossier(receipt.messages, receipt.entries, checked.keys))


def make_receipt(view: View, trade: Trade) -> Receipt:
    """The receipt of a trade that both parties have settled. Raises ExportRefused for another, or one that does not
    hold: what is given away was checked."""
    if not trade.entries:
        raise ExportRefused(f"Trade {trade.request_id.hex()} was netted, and its entries dropped.", code="no_receipt")
    entries = counting(trade)
    own = [each.entry for each in entries if each.own]
    covering = covering_checkpoint(view, own[-1]) if own else None
    receipt = Receipt(
        node=view.node,
        request_id=trade.request_id,
        messages=tuple(_messages(view, trade)),
        entries=tuple(each.signed for each in entries),
        keys=tuple(_keys(view, view.node)) + tuple(_keys(view, trade.peer)),
    )
    receipt = receipt if covering is None else _proven(view, receipt, covering)
    try:
        check_receipt(receipt)
    except (RemoteLedgerError, DossierRefused) as problem:
        sentence = f"There is no receipt of trade {trade.request_id.hex()}, which is {trade.state}: {problem}"
        raise ExportRefused(sentence, code="no_receipt") from problem
    return receipt


def counting(trade: Trade) -> Sequence[StoredEntry]:
    """The entries that a receipt shows, in their order (`dossier`); empty where nothing was agreed."""
    if trade.offer is None:
        return ()
    held, _ = held_from_accept(trade)
    stored = [each for each, _ in trade.entries[-len(held) :]]
    agreed = [each for each, one in zip(stored, held, strict=True) if isinstance(one.message, Accept | Confirm)][:2]
    metered, account = _metered(Standing(trade.role, Account(trade.offer)), stored, held)
    return [*agreed, *metered, *_settlement(account, stored, held), *_resolution(trade, stored)]


def _metered(
    now: Standing, stored: Sequence[StoredEntry], held: Sequence[HeldEntry]
) -> tuple[Sequence[StoredEntry], Account]:
    """The Intervals, Receipts and the Dispute that count, without an Interval that nobody answered."""
    found: list[StoredEntry] = []
    for each, one in zip(stored, held, strict=True):
        after = now.after(one)
        if isinstance(one.message, METERING) and after.account is not now.account:
            found.append(each)
        now = after
    return found[:-1] if now.account.open is not None else found, now.account


def _settlement(account: Account, stored: Sequence[StoredEntry], held: Sequence[HeldEntry]) -> Iterator[StoredEntry]:
    """The newest Closed over what the metering comes to, behind the Close that it answers."""
    closes = {each.hash: each for each, one in zip(stored, held, strict=True) if isinstance(one.message, Close)}
    for each, one in zip(reversed(stored), reversed(held), strict=True):
        if isinstance(one.message, Closed) and account.matches(one.message) and each.entry.answers in closes:
            yield closes[each.entry.answers]
            yield each
            return


def _resolution(trade: Trade, stored: Sequence[StoredEntry]) -> Iterator[StoredEntry]:
    """The Resolve that both have signed: the proposal, and its answer."""
    both = {each.hash: each for each in stored}
    yield from (both[each.digest] for each in trade.resolving.agreement(trade.role) or ())


def _messages(view: View, trade: Trade) -> Iterator[SignedMessage]:
    """The request, and the offer that was accepted."""
    _, offer_hash = held_from_accept(trade)
    kept = [each.message for each in view.messages(trade.request_id)]
    yield from [each for each in kept if each.kind is MessageKind.REQUEST][:1]
    yield from (each for each in kept if each.hash == offer_hash)


def _keys(view: View, node: bytes) -> Sequence[SignedEntry]:
    """A node's KEY entries, unless all that it ever said is its first key."""
    held = [each.signed for each in view.apart(EntryType.KEY, node)]
    return held if len(held) > 1 else ()


def _proven(view: View, receipt: Receipt, covering: HeldCheckpoint) -> Receipt:
    """With the newest checkpoint over our entries, who cosigned it, and a proof for each of them."""
    own = [each.entry for each in receipt.entries if (each.entry.node, each.entry.epoch) == (view.node, covering.epoch)]
    lines = tuple(each.line for each in cosignatures(view, covering) if each.key == each.witness)
    note = replace(covering.note, signatures=(*covering.note.signatures, *lines)[:MAX_SIGNATURES])
    proofs = tuple(tuple(proof) for proof in inclusion_proofs(view, own, covering))
    return replace(receipt, note=note, proofs=proofs)
