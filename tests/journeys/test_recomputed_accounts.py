"""The script that knows nothing of ours also reads what came after the trades: disputes, payments, nets, vouchers, and
ledgers that have dropped their bodies."""

from pathlib import Path

from examples import recompute
from ledger.files.export import export_jsonl
from ledger.store.reader import LedgerReader
from market.terms import Means
from tests.support.ledgers import NOW_S, PRICE, Street, street_in
from tests.support.vouchers import issued, voucher
from v2xnode.settling import disputes, nets, paying, pruning


def exported(world: Street, directory: Path) -> list[recompute.Ledger]:
    """Each party's export, as the script reads it."""
    found = []
    for place, _ in enumerate(world.books):
        path = directory / f"{place}.jsonl"
        with LedgerReader.open(directory / f"{place}.db") as reader:
            path.write_text("\n".join(export_jsonl(reader)) + "\n")
        found.append(recompute.read_ledger(path))
    return found


def test_a_resolved_dispute_is_recomputed_with_its_correction(tmp_path: Path) -> None:
    world = street_in(tmp_path)
    provider, client = world.books
    trade = world.sells(provider, client, 400, client_wh=250)
    provider.run(lambda tx: disputes.resolve(tx, trade, 360, NOW_S))
    world.deliver()
    [(told, _)] = recompute.compare(exported(world, tmp_path))
    assert (told.state, told.meter.total[1]) == ("settled", 250)
    client.run(lambda tx: disputes.agree(tx, trade, NOW_S))
    world.deliver()
    [(told, holders)] = recompute.compare(exported(world, tmp_path))
    assert (told.state, told.meter.total[1:], holders) == ("resolved", (360, [360 * PRICE // 1000]), 2)


def test_a_pruned_ledger_leaves_its_trades_to_the_other_partys_export(tmp_path: Path) -> None:
    world = street_in(tmp_path)
    provider, client = world.books
    issued(client, voucher(client, provider))
    world.sells(provider, client, 400)
    got = provider.run(lambda tx: paying.receive(tx, client.key, 20_000, "EUR", Means.CASH, "", NOW_S))
    world.deliver()
    client.run(lambda tx: paying.confirm(tx, got.hash, NOW_S))
    client.run(lambda tx: nets.propose(tx, provider.key, NOW_S))
    world.deliver()
    assert len(provider.run(lambda tx: pruning.prune_before_newest(tx, client.key))) == 1
    [(told, holders)] = recompute.compare(exported(world, tmp_path))
    assert (told.meter.total[1], holders) == (400, 1)
    client.run(lambda tx: pruning.prune_before_newest(tx, provider.key))
    assert recompute.compare(exported(world, tmp_path)) == []
