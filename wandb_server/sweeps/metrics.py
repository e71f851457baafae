"""What the runs of a sweep logged of its metric."""

import json
import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from wandb_server.history import sample_rows
from wandb_server.lines import parse_object
from wandb_server.runs import Run
from wandb_server.sweeps.config import Metric

ENDED = ("finished", "failed", "crashed", "killed")
_ALL = 2**31


@dataclass(frozen=True)
class Logged:
    """What one run logged of the metric: numbers only, in order; the summary's comes last."""

    state: str
    values: Sequence[float]

    def best(self, metric: Metric) -> float | None:
        """Give the best value; None if there is none."""
        return (max if metric.maximize else min)(self.values, default=None)

    def worst(self, metric: Metric) -> float | None:
        """Give the worst value; None if there is none."""
        return (min if metric.maximize else max)(self.values, default=None)


def read_logged(connection: sqlite3.Connection, run: Run, metric: Metric) -> Logged:
    """Read what a run logged of the metric, in its history and its summary."""
    summary = read_summary(run, metric)
    values = [] if summary is None else [summary]
    # One value stands in the summary, too.
    if count_values(run, metric) > 1:
        values = [*read_history(connection, run, metric), *values]
    return Logged(run.current_state(), values)


def read_summary(run: Run, metric: Metric) -> float | None:
    """Read the metric's number from a run's summary; None if there is none."""
    summary = parse_object(run.summary_metrics)
    value: Any = summary
    for part in [metric.name] if metric.name in summary else metric.name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value if _is_number(value) else None


def read_history(connection: sqlite3.Connection, run: Run, metric: Metric) -> list[float]:
    """Read the numbers that a run logged as the metric, in order."""
    rows = sample_rows(connection, run.id, {"keys": [metric.name], "samples": _ALL})
    return [row[metric.name] for row in rows if _is_number(row[metric.name])]


def count_values(run: Run, metric: Metric) -> int:
    """Count how often a run logged a number as the metric, NaN and infinities included."""
    known = json.loads(run.history_keys).get("keys", {}).get(metric.name, {})
    return sum(kind["count"] for kind in known.get("typeCounts", ()) if kind["type"] == "number")


def impute(logged: Sequence[Logged], metric: Metric) -> list[float | None]:
    """Give each run's value for the search.

    Returns:
        The best value of a run that has ended well; what the metric's `impute` says for one that
        has not; None for one at work, and where nothing is known.
    """
    ended = [run for run in logged if run.state in ENDED]
    extremes = [value for run in ended if (value := run.worst(metric)) is not None]
    worst = (min if metric.maximize else max)(extremes, default=None)
    return [_value(run, metric, worst) for run in logged]


def reaches_target(logged: Sequence[Logged], metric: Metric) -> bool:
    """Tell whether a run has got to where the sweep wants to go."""
    target = metric.target
    if target is None:
        return False
    found = [value for run in logged for value in run.values]
    return any(value >= target if metric.maximize else value <= target for value in found)


def _value(run: Logged, metric: Metric, worst: float | None) -> float | None:
    strategy: str | None = metric.impute
    if run.state == "finished" or run.state not in ENDED:
        if run.state != "finished":
            strategy = metric.impute_while_running
        if strategy is None:
            return None
        if run.values:
            return run.best(metric)
    if strategy == "worst":
        return worst
    if strategy == "best":
        return run.best(metric)
    return run.values[-1] if run.values else None


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
