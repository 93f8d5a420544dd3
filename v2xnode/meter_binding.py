"""The KEY entry by which a node's chain says: this meter key is mine."""

from ledger.own.key_changes import bind_meter
from ledger.store.transaction import Transaction
from ledger.store.view import View
from v2xnode.meter_key import MeterKey


def bind_meter_key(transaction: Transaction, meter: MeterKey) -> bool:
    """Append the entry; False where the chain says so already. The key bound last is the one in use."""
    if is_bound(transaction, meter):
        return False
    bind_meter(transaction, meter.bound_to(transaction.node))
    return True


def is_bound(view: View, meter: MeterKey) -> bool:
    """Whether the newest meter key of our chain is this one."""
    return [each.point for each in view.keys_of(view.node).meters][-1:] == [meter.point]
