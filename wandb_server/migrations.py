"""How the database came to its present form, one step a release at most.

Each migration runs in a transaction of its own and is written down in the table `migration`.
A released migration is never edited: what it did is what users' files hold.
"""

import sqlite3
from collections.abc import Callable

from wandb_server import clock
from wandb_server.errors import NewerDatabaseError

_M001_TABLES = (
    """CREATE TABLE project (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        entity TEXT NOT NULL,
        name TEXT NOT NULL,
        description TEXT,
        created_at TEXT NOT NULL,
        UNIQUE (entity, name))""",
    """CREATE TABLE run (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        project_id INTEGER NOT NULL REFERENCES project ON DELETE CASCADE,
        name TEXT NOT NULL,
        display_name TEXT,
        state TEXT NOT NULL,
        config TEXT NOT NULL DEFAULT '{}',
        summary_metrics TEXT NOT NULL DEFAULT '{}',
        group_name TEXT,
        job_type TEXT,
        tags TEXT NOT NULL DEFAULT '[]',
        notes TEXT,
        description TEXT,
        host TEXT,
        program TEXT,
        commit_hash TEXT,
        repo TEXT,
        sweep_name TEXT,
        exitcode INTEGER,
        stop_requested INTEGER NOT NULL DEFAULT 0,
        history_keys TEXT NOT NULL DEFAULT '{}',
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        heartbeat_at TEXT NOT NULL,
        UNIQUE (project_id, name))""",
    # Lines of history, system metrics and console; `writer` is '' but for shared mode.
    """CREATE TABLE run_line (
        run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
        stream TEXT NOT NULL,
        writer TEXT NOT NULL DEFAULT '',
        number INTEGER NOT NULL,
        step INTEGER,
        content TEXT NOT NULL,
        PRIMARY KEY (run_id, stream, number, writer)) WITHOUT ROWID""",
    "CREATE INDEX run_line_step ON run_line (run_id, stream, step)",
    """CREATE TABLE run_file (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
        name TEXT NOT NULL,
        digest TEXT NOT NULL,
        size INTEGER NOT NULL,
        updated_at TEXT NOT NULL,
        UNIQUE (run_id, name))""",
    """CREATE TABLE alert (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
        title TEXT NOT NULL,
        text TEXT NOT NULL,
        severity TEXT NOT NULL,
        created_at TEXT NOT NULL)""",
    """CREATE TABLE artifact_type (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        project_id INTEGER NOT NULL REFERENCES project ON DELETE CASCADE,
        name TEXT NOT NULL,
        description TEXT,
        created_at TEXT NOT NULL,
        UNIQUE (project_id, name))""",
    # next_version only grows: the number of a deleted version is never given again.
    """CREATE TABLE collection (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        project_id INTEGER NOT NULL REFERENCES project ON DELETE CASCADE,
        type_id INTEGER NOT NULL REFERENCES artifact_type,
        kind TEXT NOT NULL CHECK (kind IN ('SEQUENCE', 'PORTFOLIO')),
        name TEXT NOT NULL,
        description TEXT,
        next_version INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        UNIQUE (project_id, name))""",
    """CREATE TABLE collection_tag (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        collection_id INTEGER NOT NULL REFERENCES collection ON DELETE CASCADE,
        name TEXT NOT NULL,
        UNIQUE (collection_id, name))""",
    # version_index is NULL until the version is committed. pending_aliases: JSON list.
    """CREATE TABLE artifact (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        collection_id INTEGER NOT NULL REFERENCES collection ON DELETE CASCADE,
        run_id INTEGER REFERENCES run ON DELETE SET NULL,
        state TEXT NOT NULL CHECK (state IN ('PENDING', 'COMMITTED', 'DELETED')),
        version_index INTEGER,
        digest TEXT NOT NULL,
        digest_algorithm TEXT NOT NULL,
        description TEXT,
        metadata TEXT,
        ttl_seconds INTEGER,
        distributed_id TEXT,
        history_step INTEGER,
        pending_aliases TEXT NOT NULL DEFAULT '[]',
        size INTEGER NOT NULL DEFAULT 0,
        file_count INTEGER NOT NULL DEFAULT 0,
        commit_hash TEXT,
        manifest_digest TEXT,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        UNIQUE (collection_id, version_index))""",
    "CREATE INDEX artifact_digest ON artifact (collection_id, digest)",
    "CREATE INDEX artifact_run ON artifact (run_id)",
    """CREATE TABLE artifact_client (
        client_id TEXT PRIMARY KEY,
        artifact_id INTEGER NOT NULL REFERENCES artifact ON DELETE CASCADE) WITHOUT ROWID""",
    """CREATE TABLE artifact_tag (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        artifact_id INTEGER NOT NULL REFERENCES artifact ON DELETE CASCADE,
        name TEXT NOT NULL,
        UNIQUE (artifact_id, name))""",
    # One row an announced manifest: clients that share a pending version each send one.
    """CREATE TABLE manifest (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        artifact_id INTEGER NOT NULL REFERENCES artifact ON DELETE CASCADE,
        type TEXT NOT NULL,
        name TEXT NOT NULL,
        digest TEXT NOT NULL,
        base_artifact_id INTEGER)""",
    "CREATE INDEX manifest_artifact ON manifest (artifact_id)",
    # The entries of the committed manifest; digest is NULL for a reference.
    """CREATE TABLE artifact_file (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        artifact_id INTEGER NOT NULL REFERENCES artifact ON DELETE CASCADE,
        name TEXT NOT NULL,
        digest TEXT,
        size INTEGER NOT NULL,
        ref TEXT,
        UNIQUE (artifact_id, name))""",
    """CREATE TABLE membership (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        collection_id INTEGER NOT NULL REFERENCES collection ON DELETE CASCADE,
        artifact_id INTEGER NOT NULL REFERENCES artifact ON DELETE CASCADE,
        version_index INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        UNIQUE (collection_id, version_index),
        UNIQUE (collection_id, artifact_id))""",
    "CREATE INDEX membership_artifact ON membership (artifact_id)",
    """CREATE TABLE alias (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        collection_id INTEGER NOT NULL,
        artifact_id INTEGER NOT NULL,
        alias TEXT NOT NULL,
        UNIQUE (collection_id, alias),
        FOREIGN KEY (collection_id, artifact_id)
            REFERENCES membership (collection_id, artifact_id) ON DELETE CASCADE)""",
    "CREATE INDEX alias_artifact ON alias (artifact_id)",
    """CREATE TABLE run_input (
        run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
        artifact_id INTEGER NOT NULL REFERENCES artifact ON DELETE CASCADE,
        used_as TEXT,
        created_at TEXT NOT NULL,
        PRIMARY KEY (run_id, artifact_id)) WITHOUT ROWID""",
    "CREATE INDEX run_input_artifact ON run_input (artifact_id)",
    """CREATE TABLE run_output (
        run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
        artifact_id INTEGER NOT NULL REFERENCES artifact ON DELETE CASCADE,
        created_at TEXT NOT NULL,
        PRIMARY KEY (run_id, artifact_id)) WITHOUT ROWID""",
    "CREATE INDEX run_output_artifact ON run_output (artifact_id)",
)


def m001_runs_and_artifacts(connection: sqlite3.Connection) -> None:
    """Make the first tables: projects, runs, artifacts and what links them."""
    for statement in _M001_TABLES:
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


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    m001_runs_and_artifacts,
    m002_sweeps,
    m003_sweep_hand_outs,
    m004_registries,
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
