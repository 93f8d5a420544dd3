"""A node trades, loses its disk, and comes back from a backup that knows nothing of the trade: what it owes it owes."""

from pathlib import Path

import pytest

from ledger.own.adoption import KeptMessage, Shown, adopt
from ledger.own.key_changes import own_key_entries
from tests.support.data_directories import AT_MS, CHEAP, PASSPHRASE, report, sign
from tests.support.deals import STORIES, Side, played, request_id, sides
from v2xnode.backup.restoring import restore_backup
from v2xnode.backup.taking import take_backup
from v2xnode.config import CONFIG_FILE, DATABASE_FILE
from v2xnode.identity import KEY_FILE
from v2xnode.rotation import open_ledger
from v2xnode.secret_file import create_secret


def backed_up(side: Side) -> Path:
    """A backup of a side as it is now."""
    data = side.path.parent
    create_secret(data / KEY_FILE, side.identity.seed)
    (data / CONFIG_FILE).write_text("")
    file = data.parent / f"{data.name}.v2x"
    take_backup(data, file, PASSPHRASE, at_ms=AT_MS, cost=CHEAP)
    return file


def remembered(of: Side, by: Side, name: str) -> list[Shown]:
    """What a peer shows: our KEY entries, then the trade as it has it."""
    view = by.ledger.transact(lambda tx: (tx.messages(request_id(name)), tx.entries(request_id(name))))
    kept = [KeptMessage(each.message, each.request_id) for each in view[0]]
    return [*of.ledger.transact(own_key_entries), *kept, *(stored.signed for stored in view[1])]


@pytest.mark.parametrize("who", ["provider", "client"])
@pytest.mark.parametrize("name", sorted(STORIES))
def test_after_a_restore_the_books_are_as_before(tmp_path: Path, name: str, who: str) -> None:
    with sides(tmp_path) as both:
        mine, peer = both if who == "provider" else both[::-1]
        file = backed_up(mine)
        played(*both, name)
        shown = remembered(mine, peer, name)
        before = mine.ledger.transact(lambda tx: tx.balances())
    data = tmp_path / "restored"
    with file.open("rb") as opened:
        restore_backup(opened, data, PASSPHRASE)
    with open_ledger(data, data / DATABASE_FILE) as ledger:
        adopted = ledger.transact(lambda tx: adopt(tx, shown))
        assert not adopted.refused
        assert not adopted.forks
        assert ledger.transact(lambda tx: tx.balances()) == before
    sign(data)
    assert report(data).ok
