"""Migrations, transactions, and errors that name the file."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from wandb_server import migrations
from wandb_server.database import Database, fetch_count
from wandb_server.errors import NewerDatabaseError, StorageError


def _tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}


def test_a_new_database_is_migrated_once(tmp_path: Path) -> None:
    path = tmp_path / "db"
    Database(path).close()
    Database(path).close()
    with closing(sqlite3.connect(path)) as connection:
        applied = [row[0] for row in connection.execute("SELECT name FROM migration")]
    assert applied == [migration.__name__ for migration in migrations.MIGRATIONS]


def test_a_newer_database_is_refused_with_its_version(tmp_path: Path) -> None:
    path = tmp_path / "db"
    Database(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO migration VALUES ('m999_future', '2099')")
        connection.commit()
    with pytest.raises(NewerDatabaseError, match="m999_future"):
        Database(path)


def test_a_migration_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def m002_broken(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE half_done (id)")
        connection.execute("nonsense")

    path = tmp_path / "db"
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, m002_broken))
    with pytest.raises(StorageError, match="nonsense"):
        Database(path)
    assert "run" in _tables(path)
    assert "half_done" not in _tables(path)


def test_a_write_that_fails_is_undone(tmp_path: Path) -> None:
    database = Database(tmp_path / "db")
    insert = "INSERT INTO project (entity, name, created_at) VALUES ('e', ?, '')"
    with database.write() as connection:
        connection.execute(insert, ("kept",))
    with pytest.raises(StorageError, match="UNIQUE"), database.write() as connection:
        connection.executemany(insert, [("undone",), ("kept",)])
    with database.read() as connection:
        assert fetch_count(connection, "SELECT count(*) FROM project") == 1
    database.close()


def test_readers_see_the_state_at_their_start(tmp_path: Path) -> None:
    database = Database(tmp_path / "db")
    count = "SELECT count(*) FROM project"
    with database.read() as reader:
        assert fetch_count(reader, count) == 0
        with database.write() as writer:
            writer.execute("INSERT INTO project (entity, name, created_at) VALUES ('e', 'n', '')")
        assert fetch_count(reader, count) == 0
    database.close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "db"
    path.write_bytes(b"this is not a database, but long enough to be looked at" * 30)
    with pytest.raises(StorageError, match=str(path)):
        Database(path)


def test_a_database_that_somebody_else_writes_opens_and_reads(tmp_path: Path) -> None:
    path = tmp_path / "db"
    Database(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        database = Database(path)
        with database.read() as connection:
            assert fetch_count(connection, "SELECT count(*) FROM run") == 0
        other.execute("ROLLBACK")
        database.close()


def test_what_is_committed_is_synced_to_the_disk(tmp_path: Path) -> None:
    database = Database(tmp_path / "db")
    with database.read() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1
    database.close()
