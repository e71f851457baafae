"""What a sweep's agent is told to do when it reports."""

import json
import secrets
import sqlite3
from collections.abc import Collection
from typing import Any

from wandb_server import clock
from wandb_server.runs import Run, create_run, find_run, get_run, update_run
from wandb_server.sweeps.choose import Choice
from wandb_server.sweeps.config import SweepConfig, parse_config
from wandb_server.sweeps.hand_outs import (
    SILENT_AFTER_SECONDS,
    HandOut,
    add_hand_out,
    give_again,
    is_told_to_stop,
    list_hand_outs,
    mark_seen,
    take_over,
    tell_to_stop,
)
from wandb_server.sweeps.metrics import count_values, read_history, read_value
from wandb_server.sweeps.parameters import same
from wandb_server.sweeps.progress import next_choice, read_choice
from wandb_server.sweeps.store import Agent, Sweep, get_agent, get_sweep, list_sweep_runs

Command = dict[str, Any]
_EXIT: Command = {"type": "exit"}
# An answer may get lost, or a program may end before it starts its run: once more, then no more.
_TRIES = 2


def commands_for(
    connection: sqlite3.Connection, agent: Agent, working_on: Collection[str]
) -> list[Command]:
    """Decide what an agent does next.

    Args:
        connection: Inside a write transaction.
        agent: The agent that reports.
        working_on: Names of the runs that it has started and not finished.

    Returns:
        Runs to stop, or at most one command: run or exit.
    """
    connection.execute("UPDATE agent SET heartbeat_at = ? WHERE id = ?", (clock.now(), agent.id))
    sweep = get_sweep(connection, agent.sweep_id)
    config = parse_config(sweep.config)
    _settle(connection, agent, working_on)
    if stops := _find_stops(connection, sweep, config, working_on):
        return [{"type": "stop", "run_id": name} for name in stops]
    if working_on or sweep.state == "PAUSED":
        return []
    if sweep.state in ("FINISHED", "CANCELED"):
        return [_EXIT]
    return [_next(connection, sweep, config, agent)]


def _settle(connection: sqlite3.Connection, agent: Agent, working_on: Collection[str]) -> None:
    """Note what the report tells about the runs that the agent was given."""
    for given in list_hand_outs(connection, agent.sweep_id):
        if given.agent_id != agent.id:
            continue
        run = get_run(connection, given.run_id)
        if run.name in working_on:
            mark_seen(connection, run.id)
        elif given.told_to_stop and run.state in ("pending", "running", "preempting"):
            # Its program was ended, so it can't say so itself.
            update_run(connection, run.id, {"state": "killed"})
        elif given.was_seen and run.state == "pending":
            # Its program ended without ever starting the run.
            update_run(connection, run.id, {"state": "failed"})


def _find_stops(
    connection: sqlite3.Connection,
    sweep: Sweep,
    config: SweepConfig,
    working_on: Collection[str],
) -> list[str]:
    """List the runs that the agent is to stop, among those that it works on."""
    names = sorted(working_on)
    if sweep.state == "CANCELED":
        return names
    runs = [run for name in names if (run := find_run(connection, sweep.project_id, name))]
    for run in runs:
        if _lags(connection, sweep, config, run):
            tell_to_stop(connection, run.id)
    return [run.name for run in runs if run.stop_requested or is_told_to_stop(connection, run.id)]


def _lags(connection: sqlite3.Connection, sweep: Sweep, config: SweepConfig, run: Run) -> bool:
    """Tell whether the run is so far behind the sweep's others that it needn't go on."""
    stopping, metric = config.early_terminate, config.metric
    if stopping is None or metric is None or stopping.band_of(count_values(run, metric)) is None:
        return False
    # Less is better from here on.
    sign = -1 if metric.maximize else 1
    values = [sign * value for value in read_history(connection, run, metric)]
    band = stopping.band_of(len(values))
    if band is None:
        return False
    found = (
        read_value(connection, other, metric, band)
        for other in list_sweep_runs(connection, sweep)
        if count_values(other, metric) >= band
    )
    rivals = [sign * value for value in found if value is not None]
    return stopping.should_stop(values, rivals)


def _next(
    connection: sqlite3.Connection, sweep: Sweep, config: SweepConfig, agent: Agent
) -> Command:
    """Give the agent a run: one that never started, one that was preempted, or a new one."""
    for given in list_hand_outs(connection, sweep.id):
        run = get_run(connection, given.run_id)
        if run.state == "pending" and _is_free(connection, given, run, agent):
            return _command(run, config)
        if resumed := _resume(connection, config, given, run, agent):
            return resumed
    choice = next_choice(connection, sweep, config)
    if choice is None:
        return _EXIT
    connection.execute("UPDATE sweep SET chosen = chosen + 1 WHERE id = ?", (sweep.id,))
    run = create_run(connection, sweep.project_id, secrets.token_hex(4), "pending")
    fields = {
        "sweep": sweep.name,
        "config": json.dumps(_values(choice)),
        "displayName": f"sweep-{sweep.chosen + 1}",
    }
    update_run(connection, run.id, fields)
    add_hand_out(connection, agent.id, run.id, same(choice))
    return _command(get_run(connection, run.id), config)


def _is_free(connection: sqlite3.Connection, given: HandOut, run: Run, agent: Agent) -> bool:
    """Tell whether the agent may start a waiting run, and note it if so."""
    if given.agent_id != agent.id:
        owner = get_agent(connection, given.agent_id)
        if owner.heartbeat_at > clock.ago(SILENT_AFTER_SECONDS):
            return False
        take_over(connection, run.id, agent.id)
        return True
    if given.times_given >= _TRIES:
        update_run(connection, run.id, {"state": "failed"})
        return False
    give_again(connection, run.id)
    return True


def _resume(
    connection: sqlite3.Connection, config: SweepConfig, given: HandOut, run: Run, agent: Agent
) -> Command | None:
    """Let an agent go on with a run, if that was preempted, whoever had it before."""
    # The config of the run holds more by now.
    choice = given.choice or read_choice(run, config.parameters)
    if run.current_state() != "preempted" or choice is None:
        return None
    take_over(connection, run.id, agent.id)
    update_run(connection, run.id, {"state": "pending"})
    return _command(run, config) | {"type": "resume", "args": _values(json.loads(choice))}


def _values(choice: Choice) -> dict[str, Any]:
    return {key: {"value": value} for key, value in choice.items()}


def _command(run: Run, config: SweepConfig) -> Command:
    return {
        "type": "run",
        "run_id": run.name,
        "args": json.loads(run.config),
        "program": config.program,
    }
