"""Sweeps and their agents in the database."""

import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from wandb_server import clock
from wandb_server.database import fetch, fetch_one
from wandb_server.errors import ClientError, NotFoundError
from wandb_server.runs import Run
from wandb_server.sweeps.config import parse_config

STATES = ("PENDING", "RUNNING", "PAUSED", "FINISHED", "CANCELED")


@dataclass(frozen=True)
class Sweep:
    """A row of the table `sweep`.

    `name` is the sweep's id in the SDK's sense, `config` YAML, `chosen` the number of runs
    whose parameters were chosen so far.
    """

    id: int
    project_id: int
    name: str
    config: str
    state: str
    display_name: str | None
    description: str | None
    controller: str | None
    scheduler: str | None
    chosen: int
    created_at: str
    updated_at: str


@dataclass(frozen=True)
class Agent:
    """A row of the table `agent`: a process that starts the runs of one sweep."""

    id: int
    sweep_id: int
    host: str
    created_at: str
    heartbeat_at: str


def create_sweep(connection: sqlite3.Connection, project_id: int, config: str) -> Sweep:
    """Make a sweep.

    Raises:
        ClientError: The configuration isn't valid.
    """
    parse_config(config)
    now = clock.now()
    cursor = connection.execute(
        "INSERT INTO sweep (project_id, name, config, state, created_at, updated_at)"
        " VALUES (?, ?, ?, 'PENDING', ?, ?)",
        (project_id, secrets.token_hex(4), config, now, now),
    )
    return get_sweep(connection, int(cursor.lastrowid or 0))


_COLUMNS = {
    "config": "config",
    "state": "state",
    "displayName": "display_name",
    "description": "description",
    "controller": "controller",
    "scheduler": "scheduler",
}


def update_sweep(
    connection: sqlite3.Connection, sweep_id: int, fields: Mapping[str, object]
) -> None:
    """Change what the fields name; a missing or null field changes nothing.

    Raises:
        ClientError: There is no such state, or the configuration isn't valid.
    """
    changes = {
        column: fields[field] for field, column in _COLUMNS.items() if fields.get(field) is not None
    }
    if changes.get("state", "PENDING") not in STATES:
        raise ClientError(f"sweep state {changes['state']!r}: one of {', '.join(STATES)}")
    if "config" in changes:
        parse_config(str(changes["config"]))
    changes["updated_at"] = clock.now()
    assignments = ", ".join(f"{column} = :{column}" for column in changes)
    connection.execute(
        f"UPDATE sweep SET {assignments} WHERE id = :id",  # noqa: S608  our own column names
        {**changes, "id": sweep_id},
    )


def find_sweep(connection: sqlite3.Connection, project_id: int, name: str) -> Sweep | None:
    """Look up a sweep by its project and name."""
    return fetch_one(
        connection, Sweep, "SELECT * FROM sweep WHERE project_id = ? AND name = ?", project_id, name
    )


def get_sweep(connection: sqlite3.Connection, sweep_id: int) -> Sweep:
    """Look up a sweep by its row.

    Raises:
        NotFoundError: It doesn't exist.
    """
    found = fetch_one(connection, Sweep, "SELECT * FROM sweep WHERE id = ?", sweep_id)
    if found is None:
        raise NotFoundError(f"sweep {sweep_id} doesn't exist")
    return found


def list_sweeps(connection: sqlite3.Connection, project_id: int) -> list[Sweep]:
    """List the sweeps of a project, the newest first."""
    return fetch(
        connection, Sweep, "SELECT * FROM sweep WHERE project_id = ? ORDER BY id DESC", project_id
    )


def list_sweep_runs(connection: sqlite3.Connection, sweep: Sweep) -> list[Run]:
    """List the runs of a sweep, the oldest first."""
    return fetch(
        connection,
        Run,
        "SELECT * FROM run WHERE project_id = ? AND sweep_name = ? ORDER BY id",
        sweep.project_id,
        sweep.name,
    )


def create_agent(connection: sqlite3.Connection, sweep_id: int, host: str) -> Agent:
    """Make an agent of a sweep; a sweep that waited for one is running then."""
    now = clock.now()
    cursor = connection.execute(
        "INSERT INTO agent (sweep_id, host, created_at, heartbeat_at) VALUES (?, ?, ?, ?)",
        (sweep_id, host, now, now),
    )
    connection.execute(
        "UPDATE sweep SET state = 'RUNNING' WHERE id = ? AND state = 'PENDING'", (sweep_id,)
    )
    return get_agent(connection, int(cursor.lastrowid or 0))


def get_agent(connection: sqlite3.Connection, agent_id: int) -> Agent:
    """Look up an agent by its row.

    Raises:
        NotFoundError: It doesn't exist.
    """
    found = fetch_one(connection, Agent, "SELECT * FROM agent WHERE id = ?", agent_id)
    if found is None:
        raise NotFoundError(f"agent {agent_id} doesn't exist")
    return found


def list_agents(connection: sqlite3.Connection, sweep_id: int) -> list[Agent]:
    """List the agents of a sweep, the oldest first."""
    return fetch(connection, Agent, "SELECT * FROM agent WHERE sweep_id = ? ORDER BY id", sweep_id)


def list_agent_runs(connection: sqlite3.Connection, agent_id: int) -> list[Run]:
    """List the runs that an agent was given, the oldest first."""
    return fetch(
        connection,
        Run,
        "SELECT run.* FROM run JOIN agent_run ON run_id = run.id WHERE agent_id = ?"
        " ORDER BY run.id",
        agent_id,
    )
