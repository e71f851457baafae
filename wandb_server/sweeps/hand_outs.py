"""Which agent was given which run of a sweep, and what became of the giving."""

import sqlite3
from dataclasses import dataclass

from wandb_server.database import fetch

# Agents report every five seconds or so; after two minutes of silence one is gone.
SILENT_AFTER_SECONDS = 120.0


@dataclass(frozen=True)
class HandOut:
    """A row of the table `agent_run`.

    Attributes:
        agent_id: Row of the agent that has the run.
        run_id: Row of the run.
        choice: The parameters that were chosen for it, as `parameters.same` writes them; empty
            if it was given out before these were kept.
        times_given: How often the agent was told to start it.
        was_seen: Whether the agent has reported that it works on it.
        told_to_stop: Whether the agent is told to stop it.
    """

    agent_id: int
    run_id: int
    choice: str
    times_given: int
    was_seen: int
    told_to_stop: int


def add_hand_out(connection: sqlite3.Connection, agent_id: int, run_id: int, choice: str) -> None:
    """Note that an agent is given a run."""
    connection.execute(
        "INSERT INTO agent_run (agent_id, run_id, choice) VALUES (?, ?, ?)",
        (agent_id, run_id, choice),
    )


def list_hand_outs(connection: sqlite3.Connection, sweep_id: int) -> list[HandOut]:
    """List what the agents of a sweep were given, the oldest first."""
    return fetch(
        connection,
        HandOut,
        "SELECT agent_run.* FROM agent_run JOIN agent ON agent.id = agent_id"
        " WHERE sweep_id = ? ORDER BY run_id",
        sweep_id,
    )


def give_again(connection: sqlite3.Connection, run_id: int) -> None:
    """Note that the agent is told once more to start its run."""
    connection.execute(
        "UPDATE agent_run SET times_given = times_given + 1 WHERE run_id = ?", (run_id,)
    )


def mark_seen(connection: sqlite3.Connection, run_id: int) -> None:
    """Note that the agent works on its run."""
    connection.execute("UPDATE agent_run SET was_seen = 1 WHERE run_id = ?", (run_id,))


def tell_to_stop(connection: sqlite3.Connection, run_id: int) -> None:
    """Note that the agent is to stop its run."""
    connection.execute("UPDATE agent_run SET told_to_stop = 1 WHERE run_id = ?", (run_id,))


def is_told_to_stop(connection: sqlite3.Connection, run_id: int) -> bool:
    """Tell whether an agent is to stop this run; False for a run that no agent has."""
    found = connection.execute(
        "SELECT 1 FROM agent_run WHERE run_id = ? AND told_to_stop", (run_id,)
    )
    return found.fetchone() is not None


def take_over(connection: sqlite3.Connection, run_id: int, agent_id: int) -> None:
    """Give a run that was never started, or preempted, to an agent as if for the first time."""
    connection.execute(
        "UPDATE agent_run SET agent_id = ?, times_given = 1, was_seen = 0 WHERE run_id = ?",
        (agent_id, run_id),
    )
