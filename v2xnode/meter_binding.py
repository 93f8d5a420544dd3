"""The KEY entry by which a node's chain says: this meter key is mine."""

from collections.abc import Iterator

from ledger import cbor
from ledger.entry import EntryType
from ledger.transaction import Transaction
from ledger.view import StoredEntry, View
from v2xnode.meter_key import MeterKey

_KIND, _POINT, _CONSENT = 0, 1, 6
_METER = 4


def bind_meter_key(transaction: Transaction, meter: MeterKey) -> bool:
    """Append the entry; False where the chain says so already. The key bound last is the one in use."""
    if is_bound(transaction, meter):
        return False
    consent = meter.consent(transaction.node)
    transaction.append(EntryType.KEY, cbor.encode({_KIND: _METER, _POINT: meter.point, _CONSENT: consent}))
    return True


def is_bound(view: View, meter: MeterKey) -> bool:
    """Whether the newest meter key of the chain is this one."""
    points = [fields[_POINT] for each in _keys(view) if (fields := _fields(each)).get(_KIND) == _METER]
    return points[-1:] == [meter.point]


def _fields(stored: StoredEntry) -> dict[int, cbor.Value]:
    fields = cbor.decode(stored.body)
    return fields if isinstance(fields, dict) else {}


def _keys(view: View) -> Iterator[StoredEntry]:
    after = 0
    while page := view.page(after=after, limit=500):
        after = page[-1].position
        yield from (each for each in page if each.own and each.type is EntryType.KEY)
