"""Sweeps and their agents in the database."""

import secrets
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from wandb_server import clock
from wandb_server.database import fetch, fetch_one
from wandb_server.errors import ClientError, NotFoundError
from wandb_server.runs import Run, request_stop, update_run
from wandb_server.sweeps.bayes import check_optimiser
from wandb_server.sweeps.config import parse_config
from wandb_server.sweeps.hand_outs import SILENT_AFTER_SECONDS, list_hand_outs, tell_to_stop

STATES = ("PENDING", "RUNNING", "PAUSED", "FINISHED", "CANCELED")
_AT_WORK = ("running", "preempting", "crashed")  # a crashed one may only have been silent


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
    _check_config(config)
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
        ClientError: There is no such state, the configuration isn't valid, or the sweep has
            runs already that were chosen by another one.
    """
    changes = {
        column: fields[field] for field, column in _COLUMNS.items() if fields.get(field) is not None
    }
    if changes.get("state", "PENDING") not in STATES:
        raise ClientError(f"sweep state {changes['state']!r}: one of {', '.join(STATES)}")
    if "config" in changes:
        _check_change(connection, get_sweep(connection, sweep_id), str(changes["config"]))
    changes["updated_at"] = clock.now()
    assignments = ", ".join(f"{column} = :{column}" for column in changes)
    connection.execute(
        f"UPDATE sweep SET {assignments} WHERE id = :id",  # noqa: S608  our own column names
        {**changes, "id": sweep_id},
    )
    if changes.get("state") == "CANCELED":
        _stop_runs(connection, get_sweep(connection, sweep_id))


def _check_config(text: str) -> None:
    if parse_config(text).method == "bayes":
        check_optimiser()


def _check_change(connection: sqlite3.Connection, sweep: Sweep, config: str) -> None:
    _check_config(config)
    # The client sends the config along also where something else is to change.
    before, now = parse_config(sweep.config), parse_config(config)
    if now != replace(before, name=now.name) and list_sweep_runs(connection, sweep):
        raise ClientError(
            f"sweep {sweep.name} has runs already, so its config can't change: make a new sweep"
        )


def _stop_runs(connection: sqlite3.Connection, sweep: Sweep) -> None:
    """Have all runs of a sweep stopped: by their agents, or by themselves if there is none."""
    alive = {
        agent.id
        for agent in list_agents(connection, sweep.id)
        if agent.heartbeat_at > clock.ago(SILENT_AFTER_SECONDS)
    }
    owners = {given.run_id: given.agent_id for given in list_hand_outs(connection, sweep.id)}
    for run in list_sweep_runs(connection, sweep):
        state = run.current_state()
        if state in ("pending", "preempted"):
            update_run(connection, run.id, {"state": "killed"})
        elif state in _AT_WORK and owners.get(run.id) in alive:
            tell_to_stop(connection, run.id)
        elif state in _AT_WORK:
            request_stop(connection, run.id)


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


def add_prior_runs(connection: sqlite3.Connection, sweep_id: int, runs: Iterable[int]) -> None:
    """Let a sweep learn from runs that were there before it; their rows are given."""
    connection.executemany(
        "INSERT OR IGNORE INTO sweep_prior_run VALUES (?, ?)", [(sweep_id, run) for run in runs]
    )


def list_prior_runs(connection: sqlite3.Connection, sweep_id: int) -> list[Run]:
    """List the runs that a sweep learns from without having started them, the oldest first."""
    return fetch(
        connection,
        Run,
        "SELECT run.* FROM run JOIN sweep_prior_run ON run_id = run.id WHERE sweep_id = ?"
        " ORDER BY run.id",
        sweep_id,
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
