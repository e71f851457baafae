"""Which run made a version, and which runs used it."""

import sqlite3

from wandb_server import clock
from wandb_server.artifact.records import (
    Artifact,
)
from wandb_server.database import fetch
from wandb_server.runs import Run


def record_input(
    connection: sqlite3.Connection, run_id: int, artifact_id: int, used_as: str | None
) -> None:
    """Record that a run uses a version; saying it again changes nothing."""
    connection.execute(
        "INSERT OR IGNORE INTO run_input (run_id, artifact_id, used_as, created_at)"
        " VALUES (?, ?, ?, ?)",
        (run_id, artifact_id, used_as, clock.now()),
    )


def record_output(connection: sqlite3.Connection, run_id: int, artifact_id: int) -> None:
    """Record that a run logs a version; saying it again changes nothing."""
    connection.execute(
        "INSERT OR IGNORE INTO run_output (run_id, artifact_id, created_at) VALUES (?, ?, ?)",
        (run_id, artifact_id, clock.now()),
    )


def list_outputs(connection: sqlite3.Connection, run_id: int) -> list[Artifact]:
    """List the committed versions that a run logged, oldest first."""
    return fetch(
        connection,
        Artifact,
        "SELECT artifact.* FROM artifact JOIN run_output ON artifact_id = artifact.id"
        " WHERE run_output.run_id = ? AND state = 'COMMITTED' ORDER BY artifact.id",
        run_id,
    )


def list_inputs(connection: sqlite3.Connection, run_id: int) -> list[Artifact]:
    """List the committed versions that a run used, oldest first."""
    return fetch(
        connection,
        Artifact,
        "SELECT artifact.* FROM artifact JOIN run_input ON artifact_id = artifact.id"
        " WHERE run_input.run_id = ? AND state = 'COMMITTED' ORDER BY artifact.id",
        run_id,
    )


def list_users(connection: sqlite3.Connection, artifact_id: int) -> list[Run]:
    """List the runs that used a version, oldest first."""
    return fetch(
        connection,
        Run,
        "SELECT run.* FROM run JOIN run_input ON run_id = run.id"
        " WHERE artifact_id = ? ORDER BY run.id",
        artifact_id,
    )
