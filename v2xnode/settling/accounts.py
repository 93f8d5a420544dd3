"""Who owes what."""

from ledger.view import View


def owed_by_all(view: View, currency: str) -> dict[bytes, int]:
    """What each peer owes us."""
    owed: dict[bytes, int] = {}
    for (account, unit), balance in view.balances().items():
        kind, _, peer = account.partition(":")
        if kind == "receivable" and unit == currency:
            owed[bytes.fromhex(peer)] = balance.posted_micro + balance.pending_micro
    return owed
