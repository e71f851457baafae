"""Runs: made, changed, looked up, and told alive from crashed."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wandb_server import clock
from wandb_server.database import fetch_count, fetch_one
from wandb_server.errors import ClientError, NotFoundError
from wandb_server.names import check_label

# The SDK posts every 15 to 30 seconds; two minutes of silence mean that it is gone.
CRASH_AFTER_SECONDS = 120.0
# What a run that falls silent is; one that said that it is about to be preempted was preempted.
_SILENT = {"running": "crashed", "preempting": "preempted"}
# What may be stored; what a silent run is, is derived, too.
STATES = (
    "pending",
    "running",
    "finished",
    "failed",
    "killed",
    "preempting",
    "preempted",
    "crashed",
)


@dataclass(frozen=True)
class Run:
    """A row of the table `run`.

    `name` is the run's id in the SDK's sense. `config`, `summary_metrics`, `history_keys`
    (JSON objects) and `tags` (a JSON list) are JSON text, possibly with a bare NaN in them.
    """

    id: int
    project_id: int
    name: str
    display_name: str | None
    state: str
    config: str
    summary_metrics: str
    group_name: str | None
    job_type: str | None
    tags: str
    notes: str | None
    description: str | None
    host: str | None
    program: str | None
    commit_hash: str | None
    repo: str | None
    sweep_name: str | None
    exitcode: int | None
    stop_requested: int
    history_keys: str
    created_at: str
    updated_at: str
    heartbeat_at: str

    def current_state(self) -> str:
        """Give the state, where a run that should beat and doesn't is "crashed" or "preempted"."""
        return current_state(self.state, self.heartbeat_at)

    def sdk_config(self) -> dict[str, Any] | None:
        """Give the SDK's own part of the config; None says that the run never started."""
        return sdk_part(json.loads(self.config))


def sdk_part(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give what the SDK keeps for itself in a run's config; None if it has put nothing there."""
    own = config.get("_wandb")
    inner = own.get("value") if isinstance(own, dict) else None
    return inner if isinstance(inner, dict) else None


def current_state(state: str, heartbeat_at: str) -> str:
    """Derive what a run's state is now from the stored state and its last sign of life."""
    if state in _SILENT and heartbeat_at < clock.ago(CRASH_AFTER_SECONDS):
        return _SILENT[state]
    return state


def find_run(connection: sqlite3.Connection, project_id: int, name: str) -> Run | None:
    """Look up a run by its project and name."""
    return fetch_one(
        connection, Run, "SELECT * FROM run WHERE project_id = ? AND name = ?", project_id, name
    )


def find_run_by_path(
    connection: sqlite3.Connection, entity: str, project: str, name: str
) -> Run | None:
    """Look up a run by entity, project and name, as they stand in addresses."""
    return fetch_one(
        connection,
        Run,
        "SELECT run.* FROM run JOIN project ON project.id = project_id"
        " WHERE entity = ? AND project.name = ? AND run.name = ?",
        entity,
        project,
        name,
    )


def get_run(connection: sqlite3.Connection, run_id: int) -> Run:
    """Look up a run by its row.

    Raises:
        NotFoundError: It doesn't exist.
    """
    found = fetch_one(connection, Run, "SELECT * FROM run WHERE id = ?", run_id)
    if found is None:
        raise NotFoundError(f"run {run_id} doesn't exist")
    return found


def create_run(connection: sqlite3.Connection, project_id: int, name: str, state: str) -> Run:
    """Make a run.

    Raises:
        ClientError: The name isn't allowed, or is that of a run that was deleted.
    """
    check_label("run", name)
    _refuse_deleted(connection, project_id, name)
    now = clock.now()
    count = fetch_count(connection, "SELECT count(*) FROM run WHERE project_id = ?", project_id)
    connection.execute(
        "INSERT INTO run (project_id, name, display_name, state, created_at, updated_at,"
        " heartbeat_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (project_id, name, f"run-{count + 1}", state, now, now, now),
    )
    return get_run(connection, int(connection.execute("SELECT last_insert_rowid()").fetchone()[0]))


def _refuse_deleted(connection: sqlite3.Connection, project_id: int, name: str) -> None:
    """Refuse the id of a deleted run, in W&B's words: programs look for them.

    A program that is still at work would make the run anew, empty, by its next update.
    """
    path = connection.execute(
        "SELECT entity || '/' || project.name || '/' || deleted_run.name FROM deleted_run"
        " JOIN project ON project.id = project_id WHERE project_id = ? AND deleted_run.name = ?",
        (project_id, name),
    ).fetchone()
    if path is not None:
        raise ClientError(
            f"run {path[0]} was previously created and deleted; try a new run id "
            "(wandb sync takes one as --id)"
        )


# Names of columns by the names of UpsertBucket's input fields.
_COLUMNS = {
    "displayName": "display_name",
    "groupName": "group_name",
    "jobType": "job_type",
    "notes": "notes",
    "description": "description",
    "host": "host",
    "jobProgram": "program",
    "commit": "commit_hash",
    "jobRepo": "repo",
    "sweep": "sweep_name",
    "config": "config",
    "summaryMetrics": "summary_metrics",
    "state": "state",
}


def update_run(connection: sqlite3.Connection, run_id: int, fields: Mapping[str, object]) -> None:
    """Change the columns that the fields name; a missing or null field changes nothing.

    Args:
        connection: Inside a write transaction.
        run_id: Row of the run.
        fields: Input fields of UpsertBucket; config and summaryMetrics as JSON text.

    Raises:
        ClientError: config or summaryMetrics isn't a JSON object, or there is no such state.
    """
    changes = {
        column: fields[field] for field, column in _COLUMNS.items() if fields.get(field) is not None
    }
    if changes.get("state", "running") not in STATES:
        raise ClientError(f"state {changes['state']!r}: it must be one of {', '.join(STATES)}")
    for column in ("config", "summary_metrics"):
        if column in changes:
            check_object(column, str(changes[column]))
    if fields.get("tags") is not None:
        changes["tags"] = json.dumps(fields["tags"])
    changes["updated_at"] = clock.now()
    assignments = ", ".join(f"{column} = :{column}" for column in changes)
    connection.execute(
        f"UPDATE run SET {assignments} WHERE id = :id",  # noqa: S608  our own column names
        {**changes, "id": run_id},
    )


def restart_run(connection: sqlite3.Connection, run_id: int) -> None:
    """Mark a run as running again, now."""
    connection.execute(
        "UPDATE run SET state = 'running', exitcode = NULL, stop_requested = 0, heartbeat_at = ?"
        " WHERE id = ?",
        (clock.now(), run_id),
    )


def beat(
    connection: sqlite3.Connection, run_id: int, state: str, exitcode: int | None = None
) -> None:
    """Record a sign of life together with the state and, at the end, the exit code."""
    connection.execute(
        "UPDATE run SET state = ?, exitcode = ?, heartbeat_at = ? WHERE id = ?",
        (state, exitcode, clock.now(), run_id),
    )


def request_stop(connection: sqlite3.Connection, run_id: int) -> None:
    """Ask the run to stop: its SDK learns it from the answer to its next post."""
    connection.execute("UPDATE run SET stop_requested = 1 WHERE id = ?", (run_id,))


def delete_run(connection: sqlite3.Connection, run_id: int) -> None:
    """Delete a run with its lines and file names; artifacts that it logged stay.

    Its id isn't given to another run, as with W&B.
    """
    connection.execute(
        "INSERT INTO deleted_run SELECT project_id, name, ? FROM run WHERE id = ?",
        (clock.now(), run_id),
    )
    connection.execute("DELETE FROM run WHERE id = ?", (run_id,))


def check_object(what: str, text: str) -> None:
    """Check that a text, which is named `what` in the error, is a JSON object.

    Raises:
        ClientError: It isn't one.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ClientError(f"{what}: not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise ClientError(f"{what}: a JSON object is wanted, not {text[:40]!r}")
