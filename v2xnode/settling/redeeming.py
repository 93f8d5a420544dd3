"""A voucher's way home: the provider shows its issuer what was drawn, with what its holder has signed, in one file; the
issuer checks it with nothing but that file, and signs that it owes the provider.

Evidence for each trade: the holder's Accept and the provider's Confirm (the voucher was good then), what the holder
has signed of the amount (Receipt, Close, Closed or Resolve: the largest counts, since amounts only rise), and the
provider's draw. The holder's own draw is not needed: who takes energy and falls silent has still signed for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ledger.entry import EntryType, SignedEntry, SignerOf
from ledger.errors import Malformed
from ledger.filing import demand_fields, entry_from_json, entry_to_json, list_of, octets_of, read_file, write_file
from ledger.keys.key_history import MAX_KEYS, KeyHistory
from ledger.message import MessageKind, SignedMessage
from ledger.proofs.note import to_base64
from ledger.store.transaction import Transaction
from ledger.store.view import StoredEntry, View
from market.errors import TermsInvalid
from market.terms import Accept, Close, Closed, Confirm, EntryBody, Pay, Receipt, Resolve
from market.voucher import REDEEM_WITHIN_S, Voucher, use_fault
from v2xnode.envelope import message_of
from v2xnode.settling.issuers import message_fields, message_of_fields
from v2xnode.settling.names import covered
from v2xnode.settling.paying import paid_by_issuer
from v2xnode.settling.signing import AccountingRefused, append
from v2xnode.settling.vouchers import Held, find, voucher_of

FORM = "v2x-redemption/1"
MAX_CLAIMS = 256
"""Trades on one voucher; with four entries of a few hundred bytes each the file stays below its limit."""
MAX_EVIDENCE = 8
_FIELDS = ("voucher", "keys", "claims")
_CLAIM_FIELDS = ("trade", "evidence", "draw")


@dataclass(frozen=True, slots=True)
class Claim:
    """One draw: the provider's Pay over `amount_micro` of a trade for which its holder has signed `signed_micro`."""

    trade: bytes
    draw: SignedEntry
    message: Pay
    signed_micro: int


@dataclass(frozen=True, slots=True)
class Redemption:
    """What a file proves: who drew how much on which voucher."""

    voucher: Voucher
    digest: bytes
    provider: bytes
    claims: tuple[Claim, ...]

    @property
    def amount_micro(self) -> int:
        """Of all claims together."""
        return sum(claim.message.amount_micro for claim in self.claims)


def claim_file(view: View, digest: bytes) -> bytes:
    """The provider's file of all that it has drawn on a voucher. Raises AccountingRefused where that is nothing
    (`no_draws`)."""
    held = find(view, digest)
    draws = [] if held is None else [each for each in _own_draws(view) if each[1].draws[0].voucher == digest]
    if held is None or not draws:
        raise AccountingRefused("Nothing was drawn on this voucher.", code="no_draws")
    claims = [_claim_fields(view, stored, message) for stored, message in draws[:MAX_CLAIMS]]
    keys = [*view.key_entries(view.node), *view.key_entries(held.voucher.holder)]
    fields = {"voucher": message_fields(held.message), "keys": [entry_to_json(each) for each in keys], "claims": claims}
    return write_file(FORM, fields)


def read(data: bytes) -> Redemption:
    """Check a file: every signature and body, that the draws are on this voucher by its provider, for trades of its
    holder agreed while it was good, each once, and not over more than the holder has signed.

    Needs no ledger. Raises LedgerError for what does not hold, AccountingRefused (`wrong_provider`, `overdrawn` and the
    codes of a `VoucherFault`) for what holds and does not fit.
    """
    form, fields = read_file(data)
    if form != FORM:
        raise Malformed(f"a file of the form {FORM} is expected, not {form!r:.40}")
    parts = demand_fields(fields, _FIELDS)
    signed = message_of_fields(parts["voucher"], MessageKind.VOUCHER)
    try:
        signer_of = _signers([entry_from_json(each) for each in list_of(parts["keys"], 2 * MAX_KEYS)])
        claims = [_claim(each, signer_of) for each in list_of(parts["claims"], MAX_CLAIMS)]
        return _checked(signed, claims)
    except TermsInvalid as problem:
        raise Malformed(str(problem)) from problem


def redeem(transaction: Transaction, data: bytes, now_s: int) -> Sequence[SignedEntry]:
    """Sign for each draw in a file that we, the issuer, owe it to the provider: a Pay by voucher that answers it.

    Raises as `read`, and AccountingRefused for a voucher that is not ours (`unknown_voucher`), one that ended too long
    ago (`too_late`), more than is left of it (`overdrawn`), or draws that were redeemed (`redeemed_already`).
    """
    found = read(data)
    held = find(transaction, found.digest)
    if held is None or held.voucher.issuer != transaction.node:
        raise AccountingRefused("This voucher was not issued here.", code="unknown_voucher")
    if now_s > held.voucher.until_s + REDEEM_WITHIN_S:
        raise AccountingRefused("This voucher ended too long ago to be redeemed.", code="too_late")
    new = [claim for claim in found.claims if not _is_redeemed(transaction, claim)]
    if not new:
        raise AccountingRefused("All of this was redeemed already.", code="redeemed_already")
    _check_left(transaction, held, new)
    return [_pay(transaction, claim, found.provider, now_s) for claim in new]


def _pay(transaction: Transaction, claim: Claim, provider: bytes, now_s: int) -> SignedEntry:
    return append(transaction, paid_by_issuer(claim.message, provider, now_s), claim.draw.hash, now_s)


def _check_left(view: View, held: Held, claims: Sequence[Claim]) -> None:
    amount_micro = sum(claim.message.amount_micro for claim in claims)
    if amount_micro > held.remaining_micro:
        raise AccountingRefused("More was drawn than is left of this voucher.", code="overdrawn")
    for claim in claims:
        covered_micro = -view.balance(covered(claim.trade), held.voucher.currency).posted_micro
        if covered_micro + claim.message.amount_micro > claim.signed_micro:
            raise AccountingRefused("A trade would be paid twice.", code="overdrawn")


def _is_redeemed(view: View, claim: Claim) -> bool:
    return any(each.entry.answers == claim.draw.hash for each, _ in _own_draws(view))


def _own_draws(view: View) -> list[tuple[StoredEntry, Pay]]:
    own = ((stored, message_of(stored.signed)) for stored in view.apart(EntryType.PAY, view.node))
    return [(stored, message) for stored, message in own if isinstance(message, Pay) and message.draw is not None]


def _claim_fields(view: View, stored: StoredEntry, message: Pay) -> dict[str, Any]:
    request_id = message.draws[0].trade
    entries = [each.signed for each in view.entries(request_id)]
    kept = [each for each in entries if isinstance(message_of(each), Accept | Confirm)]
    theirs = [each for each in entries if each.entry.node == message.peer]
    amounts = [each for each in theirs if _amount_micro(message_of(each)) is not None]
    return {
        "trade": to_base64(request_id),
        "evidence": [entry_to_json(each) for each in (*kept[-2:], *amounts[-1:])],
        "draw": entry_to_json(stored.signed),
    }


def _signers(entries: Sequence[SignedEntry]) -> SignerOf:
    """Who has to have signed an entry, by the KEY entries that the file shows; the genesis key where it shows none."""
    histories: dict[bytes, KeyHistory] = {}
    for each in entries:
        node = each.entry.node
        histories[node] = histories.get(node, KeyHistory(node)).with_entry(each)
    return lambda signed: histories.get(signed.entry.node, KeyHistory(signed.entry.node)).signer_of(signed)


def _claim(value: object, signer_of: SignerOf) -> tuple[bytes, list[SignedEntry], SignedEntry]:
    fields = demand_fields(value, _CLAIM_FIELDS)
    trade = octets_of(fields["trade"])
    evidence = [entry_from_json(each, request_id=trade) for each in list_of(fields["evidence"], MAX_EVIDENCE)]
    draw = entry_from_json(fields["draw"])
    for each in (*evidence, draw):
        each.check(signer_of(each))
    return trade, evidence, draw


def _checked(signed: SignedMessage, claims: Sequence[tuple[bytes, list[SignedEntry], SignedEntry]]) -> Redemption:
    voucher = voucher_of(signed)
    providers = {draw.entry.node for _, _, draw in claims}
    if len(providers) != 1:
        raise AccountingRefused("A file is of one provider's draws.", code="wrong_provider")
    [provider] = providers
    found = tuple(_fitting(voucher, signed.hash, provider, *claim) for claim in claims)
    if len({claim.draw.hash for claim in found}) < len(found):
        raise AccountingRefused("A draw stands twice in the file.", code="overdrawn")
    for trade in {claim.trade for claim in found}:
        of_trade = [claim for claim in found if claim.trade == trade]
        if sum(claim.message.amount_micro for claim in of_trade) > min(claim.signed_micro for claim in of_trade):
            raise AccountingRefused("More was drawn than the holder has signed for.", code="overdrawn")
    redemption = Redemption(voucher, signed.hash, provider, found)
    if redemption.amount_micro > voucher.amount_micro:
        raise AccountingRefused("More was drawn than the voucher is good for.", code="overdrawn")
    return redemption


def _fitting(
    voucher: Voucher, digest: bytes, provider: bytes, trade: bytes, evidence: Sequence[SignedEntry], draw: SignedEntry
) -> Claim:
    said = message_of(draw) if draw.entry.type is EntryType.PAY else None
    if not isinstance(said, Pay) or said.draw is None or not said.received or said.peer != voucher.holder:
        raise Malformed("a claim ends in its provider's Pay by voucher")
    drawn_on = said.draw
    if (drawn_on.voucher, drawn_on.trade, drawn_on.issuer) != (digest, trade, voucher.issuer):
        raise Malformed("the draw names another voucher or trade")
    if said.currency != voucher.currency:
        raise AccountingRefused("The draw is in another currency.", code="wrong_currency")
    messages = [(each.entry.node, message_of(each)) for each in evidence]
    fault = use_fault(voucher, voucher.holder, provider, _agreed_at_s(messages, voucher.holder, provider))
    if fault is not None:
        raise AccountingRefused(fault.sentence, code=fault.value)
    theirs = [message for node, message in messages if (node, message.peer) == (voucher.holder, provider)]
    amounts = [each for each in map(_amount_micro, theirs) if each is not None]
    return Claim(trade, draw, said, max(amounts, default=0))


def _agreed_at_s(messages: Sequence[tuple[bytes, EntryBody]], holder: bytes, provider: bytes) -> int:
    between = [(node, each) for node, each in messages if (node, each.peer) in ((holder, provider), (provider, holder))]
    accepts = [each.at_s for node, each in between if isinstance(each, Accept) and node == holder]
    confirms = [each.at_s for node, each in between if isinstance(each, Confirm) and node == provider]
    if not accepts or not confirms:
        raise Malformed("a claim shows the holder's Accept and the provider's Confirm")
    return max(*accepts, *confirms)


def _amount_micro(message: EntryBody) -> int | None:
    """What the writer has signed of a trade's amount, if it is of that kind."""
    return sum(message.amounts_micro) if isinstance(message, Receipt | Close | Closed | Resolve) else None
