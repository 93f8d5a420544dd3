"""The benchmark's trades are trades: both ledgers hold them, and they verify."""

import secrets
from pathlib import Path

from benchmarks.ledger import (
    CLIENT,
    ENTRY_BYTES,
    PAIRS,
    PROVIDER,
    Durable,
    Pairs,
    Play,
    Verified,
    _opened,
    fill,
    measure_pairs,
    measure_verification,
    tables,
)
from ledger.audit import verify
from ledger.reader import LedgerReader
from ledger.signing import AAD_ENTRY, sig_structure
from v2xnode.settling.money import posting_rule
from v2xnode.settling.trades import trade


def test_a_trade_is_settled_in_both_ledgers(tmp_path: Path) -> None:
    request_id = secrets.token_bytes(16)
    with _opened(tmp_path, posting_rule) as (provider, client):
        play = Play(Durable(provider), Durable(client), request_id)
        play.agree(PROVIDER, CLIENT)
        play.pair(0)
        play.pair(1)
        play.close(2)
    for name in ("provider.db", "client.db"):
        with LedgerReader.open(tmp_path / name) as reader:
            assert verify(reader, posting_rule).ok
            found = trade(reader, request_id)
            assert found is not None
            assert (found.state, found.agreed_wh, found.amounts_micro) == ("settled", 180, (54_000,))
            signed = {
                len(sig_structure(stored.entry.payload, AAD_ENTRY))
                for stored, message in found.entries
                if type(message).__name__ in ("Interval", "Receipt")
            }
            assert signed == {ENTRY_BYTES}, "the bare signatures are over as many bytes"


def test_a_ledger_is_filled_with_whole_trades(tmp_path: Path) -> None:
    fill(tmp_path / "client.db", entries=50)
    with LedgerReader.open(tmp_path / "client.db") as reader:
        report = verify(reader, posting_rule)
    assert report.ok
    assert report.entries == 2 + 2 * (2 * PAIRS + 4)


def test_every_round_compares_both() -> None:
    found = measure_pairs(rounds=2, trades=1, pairs=2)
    assert (len(found.cpu), len(found.wall)) == (2, 2)
    verified = measure_verification(entries=1, rounds=1)
    assert verified.entries == 2 + 2 * PAIRS + 4
    assert len(verified.rounds) == 1


def test_the_median_rounds_are_shown() -> None:
    pairs = Pairs([(10, 100), (50, 100), (45, 100)], [3, 1, 2])
    signed, whole = tables({"so": pairs}, Verified(7, [(95, 100)]))
    assert [(row.ours, row.met) for row in signed.rows] == [(45, True), (2, None)]
    assert [(row.ours, row.met) for row in whole.rows] == [(95, True)]
