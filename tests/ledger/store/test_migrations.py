"""The revisions, one after another, lead to what a new database gets at once."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from ledger.errors import Corrupt
from ledger.store import migrations, schema
from ledger.store.database import database_at
from ledger.store.version import EMPTY
from tests.ledger import old
from tests.ledger.hands import Where, asked
from tests.ledger.world import open_ledger


def schema_of(path: Path) -> dict[str, list[str]]:
    """Name -> what defines each table and index: columns in their order, then constraints in any."""
    with closing(sqlite3.connect(path)) as driver:
        found = driver.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    return {name: _lines(sql) for name, sql in found}


def _lines(sql: str) -> list[str]:
    lines = [line.strip(", \t").replace('"', "") for line in sql.split("\n")]
    constraints = [line for line in lines if line.startswith(("PRIMARY", "UNIQUE", "FOREIGN"))]
    return [line for line in lines if line not in constraints] + sorted(constraints)


def upgrade(where: Where, version: int, to: int = schema.SCHEMA_VERSION) -> None:
    with database_at(where).for_migration().connect() as connection, connection.begin():
        migrations.upgrade(connection, version, to=to)


def differences(where: Where) -> list[object]:
    with database_at(where).for_migration().connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, schema.metadata))


def test_there_is_one_way_and_it_leads_to_the_newest_schema() -> None:
    revisions = [int(each.revision) for each in ScriptDirectory(str(migrations.DIRECTORY)).walk_revisions()]
    assert revisions == list(range(schema.SCHEMA_VERSION, 0, -1))


def test_from_nothing_they_make_the_schema_of_a_new_database(path: Path, tmp_path: Path) -> None:
    open_ledger(path).close()
    walked = tmp_path / "walked"
    upgrade(walked, EMPTY)
    assert schema_of(walked) == schema_of(path)


def test_to_alembic_there_is_no_difference_either(where: Where) -> None:
    upgrade(where, EMPTY)
    assert differences(where) == []


def test_from_a_real_old_one_too(path: Path, tmp_path: Path) -> None:
    open_ledger(path).close()
    migrated = Path(shutil.copy(old.FILE, tmp_path / "migrated"))
    upgrade(migrated, 1)
    assert schema_of(migrated) == schema_of(path)
    assert differences(migrated) == []
    assert old.version(migrated) == (schema.SCHEMA_VERSION, schema.SCHEMA_VERSION)


def test_the_first_revision_made_what_the_first_software_left(tmp_path: Path) -> None:
    walked = tmp_path / "walked"
    upgrade(walked, EMPTY, to=1)
    assert schema_of(walked) == schema_of(old.FILE)


def test_the_comparison_would_see_a_difference(where: Where) -> None:
    open_ledger(where).close()
    asked(where, "DROP TABLE witnessed")
    assert len(differences(where)) == 1


def test_every_row_stays(tmp_path: Path) -> None:
    migrated = Path(shutil.copy(old.FILE, tmp_path / "migrated"))
    upgrade(migrated, 1)
    assert old.dump(migrated) == old.dump(old.FILE)
    assert all(old.dump(migrated).values())


@pytest.mark.parametrize("column", ["payload", "signature", "salt", "body", "arrival"])
def test_a_row_that_was_changed_is_not_made_good(tmp_path: Path, column: str) -> None:
    changed = Path(shutil.copy(old.FILE, tmp_path / "changed"))
    with closing(sqlite3.connect(changed, isolation_level=None)) as driver:
        driver.execute(f"UPDATE entry SET {column} = CAST({column} || x'00' AS BLOB) WHERE position = 3")  # noqa: S608
    before = old.dump(changed)
    with pytest.raises(Corrupt, match="row 3"):
        upgrade(changed, 1)
    assert old.version(changed) == (1, 1)
    assert old.dump(changed) == before


def test_a_new_database_needs_no_alembic(path: Path) -> None:
    """It takes 0.4 s and 48 MB to import, which a car's computer pays only when it has something to migrate."""
    code = (
        "import sys; from pathlib import Path; from tests.ledger.world import open_ledger\n"
        "for _ in range(2): open_ledger(Path(sys.argv[1])).close()\n"
        "sys.exit('alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=60)
