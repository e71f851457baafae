"""What a sweep's agent is told to do when it reports."""

import json
import secrets
import sqlite3
from collections.abc import Collection
from typing import Any

from wandb_server import clock
from wandb_server.runs import Run, create_run, update_run
from wandb_server.sweeps.choose import choose
from wandb_server.sweeps.config import parse_config
from wandb_server.sweeps.store import (
    Agent,
    Sweep,
    get_sweep,
    list_agent_runs,
    list_sweep_runs,
    update_sweep,
)

Command = dict[str, Any]


def commands_for(
    connection: sqlite3.Connection, agent: Agent, working_on: Collection[str]
) -> list[Command]:
    """Decide what an agent does next.

    Args:
        connection: Inside a write transaction.
        agent: The agent that reports.
        working_on: Names of the runs that it has started and not finished.

    Returns:
        At most one command: run, stop or exit.
    """
    connection.execute("UPDATE agent SET heartbeat_at = ? WHERE id = ?", (clock.now(), agent.id))
    sweep = get_sweep(connection, agent.sweep_id)
    if sweep.state == "CANCELED":
        return [_stop(sorted(working_on)[0]) if working_on else {"type": "exit"}]
    if working_on:
        return []
    if sweep.state == "FINISHED":
        return [{"type": "exit"}]
    if sweep.state == "PAUSED":
        return []
    return [_next(connection, sweep, agent)]


def _stop(name: str) -> Command:
    return {"type": "stop", "run_id": name}


def _next(connection: sqlite3.Connection, sweep: Sweep, agent: Agent) -> Command:
    """Give the agent a run; one that it was given and never started is given again."""
    waiting = [run for run in list_agent_runs(connection, agent.id) if run.state == "pending"]
    if waiting:
        return _command(waiting[0])
    values = choose(parse_config(sweep.config), sweep.name, sweep.chosen)
    if values is None:
        _finish_if_done(connection, sweep)
        return {"type": "exit"}
    connection.execute("UPDATE sweep SET chosen = chosen + 1 WHERE id = ?", (sweep.id,))
    run = create_run(connection, sweep.project_id, secrets.token_hex(4), "pending")
    config = {key: {"value": value} for key, value in values.items()}
    fields = {
        "sweep": sweep.name,
        "config": json.dumps(config),
        "displayName": f"sweep-{sweep.chosen + 1}",
    }
    update_run(connection, run.id, fields)
    connection.execute("INSERT INTO agent_run VALUES (?, ?)", (agent.id, run.id))
    return {"type": "run", "run_id": run.name, "args": config}


def _command(run: Run) -> Command:
    return {"type": "run", "run_id": run.name, "args": json.loads(run.config)}


def _finish_if_done(connection: sqlite3.Connection, sweep: Sweep) -> None:
    """Finish a sweep that has nothing to choose any more and none of its runs at work."""
    states = {run.current_state() for run in list_sweep_runs(connection, sweep)}
    if not states & {"running", "pending"}:
        update_sweep(connection, sweep.id, {"state": "FINISHED"})
