"""Runs that go on from a step of a run: rewound ones, and forks of others."""

import json
import sqlite3
from typing import Any

from wandb_server.errors import ClientError
from wandb_server.history import extend_keys
from wandb_server.lines import HISTORY, parse_object, read_steps, store_lines
from wandb_server.runs import Run, find_run, get_run


def fork_history(connection: sqlite3.Connection, run: Run) -> None:
    """Give a run that was started with `fork_from` the history that it goes on from.

    The inherited lines get numbers below 0, since the SDK counts those that it sends from 0.
    A run that wasn't forked stays as it is; doing it twice changes nothing.

    Args:
        connection: Inside a write transaction.
        run: The run as it is stored, its config included.

    Raises:
        ClientError: The run that it was forked from doesn't exist, or the step is no number.
    """
    point = _branch_point(run)
    if point is None or point["run_id"] == run.name:
        return
    parent = find_run(connection, run.project_id, str(point["run_id"]))
    if parent is None:
        raise ClientError(f"fork_from: there is no run {point['run_id']!r} in this project")
    lines = read_steps(connection, parent.id, 0, _step(point.get("step")) + 1)
    store_lines(connection, run.id, HISTORY, -len(lines), lines)
    _describe_history(connection, run.id, lines)


def rewind_run(connection: sqlite3.Connection, run: Run, metric: str, value: float) -> Run:
    """Take a run back to a step: what it logged later is deleted, its summary is that of then.

    Its console output and system metrics, which have no steps, begin anew, as they do at W&B.

    Args:
        connection: Inside a write transaction.
        run: The run.
        metric: What `value` is a value of; only `_step` is.
        value: The last step that stays.

    Raises:
        ClientError: Another metric, or the step is no whole number.
    """
    if metric != "_step":
        raise ClientError(f"a run is rewound to a value of '_step', not of {metric!r}")
    connection.execute(
        "DELETE FROM run_line WHERE run_id = ? AND (stream != ? OR step > ?)",
        (run.id, HISTORY, _step(value)),
    )
    _describe_history(connection, run.id, read_steps(connection, run.id, 0, None))
    return get_run(connection, run.id)


def _branch_point(run: Run) -> dict[str, Any] | None:
    point = (run.sdk_config() or {}).get("branch_point")
    return point if isinstance(point, dict) and "run_id" in point else None


def _step(value: object) -> int:
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    raise ClientError(f"step {value!r}: a whole number is wanted")


def _describe_history(connection: sqlite3.Connection, run_id: int, lines: list[str]) -> None:
    """Set what is derived from history: the overview of its keys, and the latest values."""
    summary: dict[str, Any] = {}
    for line in lines:
        summary |= parse_object(line)
    connection.execute(
        "UPDATE run SET history_keys = ?, summary_metrics = ? WHERE id = ?",
        (extend_keys("{}", lines, 0) if lines else "{}", json.dumps(summary), run_id),
    )
