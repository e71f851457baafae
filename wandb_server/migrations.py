"""How the database came to its present form, one step a release at most.

Each migration runs in a transaction of its own and is written down in the table `migration`.
A released migration is never edited: what it did is what users' files hold.
"""

import sqlite3
from collections.abc import Callable

from wandb_server import clock
from wandb_server.errors import NewerDatabaseError
from wandb_server.first_tables import FIRST_TABLES
from wandb_server.version_rows import spread_version_rows


def m001_runs_and_artifacts(connection: sqlite3.Connection) -> None:
    """Make the first tables: projects, runs, artifacts and what links them."""
    for statement in FIRST_TABLES:
        connection.execute(statement)


def m002_sweeps(connection: sqlite3.Connection) -> None:
    """Make the tables of sweeps, their agents, and the runs that agents were given."""
    connection.execute(
        """CREATE TABLE sweep (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        project_id INTEGER NOT NULL REFERENCES project ON DELETE CASCADE,
        name TEXT NOT NULL,
        config TEXT NOT NULL,
        state TEXT NOT NULL,
        display_name TEXT,
        description TEXT,
        controller TEXT,
        scheduler TEXT,
        chosen INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        UNIQUE (project_id, name))"""
    )
    connection.execute(
        """CREATE TABLE agent (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        sweep_id INTEGER NOT NULL REFERENCES sweep ON DELETE CASCADE,
        host TEXT NOT NULL,
        created_at TEXT NOT NULL,
        heartbeat_at TEXT NOT NULL)"""
    )
    connection.execute(
        """CREATE TABLE agent_run (
        agent_id INTEGER NOT NULL REFERENCES agent ON DELETE CASCADE,
        run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
        PRIMARY KEY (agent_id, run_id)) WITHOUT ROWID"""
    )
    connection.execute("CREATE INDEX run_sweep ON run (project_id, sweep_name)")


def m003_sweep_hand_outs(connection: sqlite3.Connection) -> None:
    """Remember what agents were given, and which earlier runs a sweep learns from."""
    for column in (
        # Empty for what was given out before: the run's config holds it.
        "choice TEXT NOT NULL DEFAULT ''",
        "times_given INTEGER NOT NULL DEFAULT 1",
        "was_seen INTEGER NOT NULL DEFAULT 0",
        "told_to_stop INTEGER NOT NULL DEFAULT 0",
    ):
        connection.execute(f"ALTER TABLE agent_run ADD COLUMN {column}")
    connection.execute("CREATE INDEX agent_run_run ON agent_run (run_id)")
    connection.execute(
        """CREATE TABLE sweep_prior_run (
        sweep_id INTEGER NOT NULL REFERENCES sweep ON DELETE CASCADE,
        run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
        PRIMARY KEY (sweep_id, run_id)) WITHOUT ROWID"""
    )


def m004_registries(connection: sqlite3.Connection) -> None:
    """Remember of a registry who may see it, and which types it takes."""
    connection.execute("ALTER TABLE project ADD COLUMN access TEXT NOT NULL DEFAULT 'PRIVATE'")
    connection.execute("ALTER TABLE project ADD COLUMN any_type INTEGER NOT NULL DEFAULT 1")
    connection.execute("ALTER TABLE project ADD COLUMN updated_at TEXT")


def m005_version_rows(connection: sqlite3.Connection) -> None:
    """Give the next versions rows that no other server's versions have."""
    spread_version_rows(connection)


def m006_deleted_runs(connection: sqlite3.Connection) -> None:
    """Remember the names of deleted runs: their programs may be at work still."""
    connection.execute(
        """CREATE TABLE deleted_run (
        project_id INTEGER NOT NULL REFERENCES project ON DELETE CASCADE,
        name TEXT NOT NULL,
        deleted_at TEXT NOT NULL,
        PRIMARY KEY (project_id, name)) WITHOUT ROWID"""
    )


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    m001_runs_and_artifacts,
    m002_sweeps,
    m003_sweep_hand_outs,
    m004_registries,
    m005_version_rows,
    m006_deleted_runs,
)


def migrate(connection: sqlite3.Connection) -> None:
    """Apply the migrations that the database lacks, in order, each in a transaction.

    Args:
        connection: In autocommit mode.

    Raises:
        NewerDatabaseError: The database holds a migration that this program doesn't know.
    """
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY, applied_at TEXT NOT NULL)"
    )
    missing = missing_migrations(connection)
    for migration in MIGRATIONS:
        if migration.__name__ in missing:
            _apply(connection, migration)


def missing_migrations(connection: sqlite3.Connection) -> list[str]:
    """List the migrations that a database lacks, in order; empty when it is up to date.

    Raises:
        NewerDatabaseError: The database holds a migration that this program doesn't know.
    """
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'migration'").fetchone()
    applied = _applied(connection) if known else set()
    _refuse_newer(applied)
    return [item.__name__ for item in MIGRATIONS if item.__name__ not in applied]


def _applied(connection: sqlite3.Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT name FROM migration")}


def _refuse_newer(applied: set[str]) -> None:
    unknown = applied - {migration.__name__ for migration in MIGRATIONS}
    if unknown:
        raise NewerDatabaseError(
            f"the database is at version {max(unknown)}, this program knows up to "
            f"{MIGRATIONS[-1].__name__}: use the newer program, or another data folder"
        )


def _apply(connection: sqlite3.Connection, migration: Callable[[sqlite3.Connection], None]) -> None:
    """Run one migration unless it was run, also if another process is about to run it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if migration.__name__ not in _applied(connection):
            migration(connection)
            connection.execute(
                "INSERT INTO migration VALUES (?, ?)", (migration.__name__, clock.now())
            )
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
