"""The KEY entry by which a node's chain says: this meter key is mine."""

from ledger.entry import EntryType
from ledger.keys import MeterKey as BoundKey
from ledger.keys import decode_key, encode_key
from ledger.transaction import Transaction
from ledger.view import View
from v2xnode.meter_key import MeterKey


def bind_meter_key(transaction: Transaction, meter: MeterKey) -> bool:
    """Append the entry; False where the chain says so already. The key bound last is the one in use."""
    if is_bound(transaction, meter):
        return False
    transaction.append(EntryType.KEY, encode_key(meter.bound_to(transaction.node)))
    return True


def is_bound(view: View, meter: MeterKey) -> bool:
    """Whether the newest meter key of our chain is this one."""
    said = (decode_key(each.body) for each in view.apart(EntryType.KEY, view.node))
    points = [each.point for each in said if isinstance(each, BoundKey)]
    return points[-1:] == [meter.point]
