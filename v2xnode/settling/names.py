"""The accounts of a ledger, by name. A peer's key in hexadecimal belongs to a name that has one."""

from market.terms import Means

INCOME = "income:energy"
EXPENSE = "expense:energy"


def receivable(peer: bytes) -> str:
    """What a peer owes us."""
    return f"receivable:{peer.hex()}"


def payable(peer: bytes) -> str:
    """What we owe a peer."""
    return f"payable:{peer.hex()}"


def paid(means: Means) -> str:
    """What we have paid outside."""
    return f"paid:{means.name.lower()}"


def received(means: Means) -> str:
    """What we got outside."""
    return f"received:{means.name.lower()}"


def drawn(voucher: bytes) -> str:
    """What was drawn on a voucher (its hash)."""
    return f"drawn:{voucher.hex()}"


def covered(trade: bytes) -> str:
    """What of a trade (its request id) was paid by vouchers; the other side of `drawn`, and so negative."""
    return f"covered:{trade.hex()}"
