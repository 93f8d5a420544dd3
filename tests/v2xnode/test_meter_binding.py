"""A chain says once whose a meter key is, and a new key takes the place of the old one."""

from pathlib import Path

from ledger.entry import EntryType
from ledger.own.key_changes import own_key_entries
from tests.support.deals import sides
from v2xnode.meter_binding import bind_meter_key, is_bound
from v2xnode.meter_key import MeterKey

OLD, NEW = (MeterKey.from_secret(bytes([number]) * 32) for number in (7, 8))


def test_a_key_is_bound_once(tmp_path: Path) -> None:
    with sides(tmp_path) as (provider, _):

        def bind(meter: MeterKey) -> bool:
            return provider.ledger.transact(lambda transaction: bind_meter_key(transaction, meter))

        def bound(meter: MeterKey) -> bool:
            return provider.ledger.transact(lambda view: is_bound(view, meter))

        assert not bound(OLD)
        assert [bind(OLD), bind(OLD)] == [True, False]
        assert (bound(OLD), bound(NEW)) == (True, False)
        assert bind(NEW)
        assert (bound(OLD), bound(NEW)) == (False, True)
        keys = provider.ledger.transact(lambda view: [each for each in view.page() if each.type is EntryType.KEY])
        assert len(keys) == 3


def test_another_nodes_entry_binds_nothing(tmp_path: Path) -> None:
    with sides(tmp_path) as (provider, client):
        provider.ledger.transact(lambda transaction: bind_meter_key(transaction, OLD))
        for theirs in provider.ledger.transact(own_key_entries):
            client.ledger.transact(lambda transaction, theirs=theirs: transaction.receive(theirs))  # type: ignore[misc]
        assert not client.ledger.transact(lambda view: is_bound(view, OLD))
