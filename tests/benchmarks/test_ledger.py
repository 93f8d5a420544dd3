"""The benchmark's trades are trades: both ledgers hold them, and they verify."""

import secrets
from pathlib import Path

import pytest

from benchmarks.ledger import ENTRY_BYTES, PAIRS, Pairs, Verified, fill, measure_pairs, measure_verification, tables
from benchmarks.trades import CLIENT, PROVIDER, Durable, Play, Served, opened, pairs_at_once, served
from benchmarks.trustchain_process import trustchain_if_any
from ledger.audit.verify import verify
from ledger.signing import AAD_ENTRY, sig_structure
from ledger.store.reader import LedgerReader
from v2xnode.settling.money import posting_rule
from v2xnode.settling.trades import trade, trades


def test_a_trade_is_settled_in_both_ledgers(tmp_path: Path) -> None:
    request_id = secrets.token_bytes(16)
    with opened(tmp_path, posting_rule) as (provider, client):
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


def test_trades_at_once_are_written_alike_in_both_ledgers(tmp_path: Path) -> None:
    with served(tmp_path, posting_rule) as (provider, client):
        sides = Served(provider, PROVIDER.public), Served(client, CLIENT.public)
        plays = [Play(*sides, secrets.token_bytes(16)) for _ in range(3)]
        for play in plays:
            play.agree(PROVIDER, CLIENT)
        for number in range(2):
            pairs_at_once(plays, number, provider, client)
        for play in plays:
            play.close(2)
    for name in ("provider.db", "client.db"):
        with LedgerReader.open(tmp_path / name) as reader:
            assert verify(reader, posting_rule).ok
            assert [each.state for each in trades(reader)] == ["settled"] * 3


def test_every_round_compares_all() -> None:
    for at_once in (False, True):
        found = measure_pairs(rounds=2, trades=2, pairs=2, at_once=at_once)
        assert (len(found.bare), len(found.wall), found.trustchain) == (2, 2, [])
    verified = measure_verification(entries=1, rounds=1)
    assert verified.entries == 2 + 2 * PAIRS + 4
    assert len(verified.cpu) == len(verified.wall) == len(verified.quick) == 1


def test_the_median_rounds_are_shown() -> None:
    rounds = [(10.0, 100.0), (50.0, 100.0), (45.0, 100.0)]
    verified = Verified(7, [(95, 100)], [(99, 100)], [(1_000, 100)])
    signed, beside, whole = tables({"so": Pairs(rounds, [(45, 15)], [3, 1, 2])}, verified)
    assert [(row.ours, row.met) for row in signed.rows] == [(45, True), (2, None)]
    assert [(row.ours, row.met) for row in beside.rows] == [(45, True)]
    assert [(row.ours, row.met) for row in whole.rows] == [(95, True), (99, None), (1_000, True)]


def test_a_missing_trustchain_is_said_aloud(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("V2XNODE_TRUSTCHAIN", "/nowhere/python")
    with trustchain_if_any() as trustchain:
        assert trustchain is None
    assert "requirements-trustchain.txt" in capsys.readouterr().out
    _, beside, _ = tables({"so": Pairs([(1, 1)], [], [1])}, Verified(7, [(1, 1)], [(1, 1)], [(1, 1)]))
    assert "requirements-trustchain.txt" in beside.note
