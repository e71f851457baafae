"""What the runs of a sweep logged of its metric."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from wandb_server.history import sample_rows
from wandb_server.lines import parse_object
from wandb_server.runs import Run
from wandb_server.sweeps.config import Metric
from wandb_server.sweeps.parameters import is_number

ENDED = ("finished", "failed", "crashed", "killed")
_ALL = 2**31


@dataclass(frozen=True)
class Span:
    """The numbers that a run logged as the metric, in short."""

    lowest: float
    highest: float
    latest: float


@dataclass(frozen=True)
class Logged:
    """What one run logged of the metric; `span` None means nothing."""

    state: str
    span: Span | None

    def best(self, metric: Metric) -> float | None:
        """Give the best value; None if there is none."""
        if self.span is None:
            return None
        return self.span.highest if metric.maximize else self.span.lowest

    def worst(self, metric: Metric) -> float | None:
        """Give the worst value; None if there is none."""
        if self.span is None:
            return None
        return self.span.lowest if metric.maximize else self.span.highest


@dataclass(frozen=True)
class _History:
    """A run's history at one moment: equal to another one when nothing came in between."""

    run_id: int
    created_at: str
    heartbeat_at: str
    metric: str
    connection: sqlite3.Connection = field(compare=False)


def read_logged(connection: sqlite3.Connection, run: Run, metric: Metric) -> Logged:
    """Read what a run logged of the metric, in its history and its summary."""
    latest = read_summary(run, metric)
    known = None if latest is None else Span(latest, latest, latest)
    # One value stands in the summary, too.
    logged = _span(_history(connection, run, metric)) if count_values(run, metric) > 1 else None
    if known and logged:
        lowest, highest = min(known.lowest, logged.lowest), max(known.highest, logged.highest)
        known = Span(lowest, highest, known.latest)
    return Logged(run.current_state(), known or logged)


def read_history(connection: sqlite3.Connection, run: Run, metric: Metric) -> list[float]:
    """Read the numbers that a run logged as the metric, in order."""
    return _values(_history(connection, run, metric))


def read_value(
    connection: sqlite3.Connection, run: Run, metric: Metric, count: int
) -> float | None:
    """Read the number that a run logged as its metric's value number `count`, from 1."""
    return _value_at(_history(connection, run, metric), count)


def read_summary(run: Run, metric: Metric) -> float | None:
    """Read the metric's number from a run's summary; None if there is none."""
    summary = parse_object(run.summary_metrics)
    value: Any = summary
    for part in [metric.name] if metric.name in summary else metric.name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value if is_number(value) else None


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
    return [_impute_one(run, metric, worst) for run in logged]


def reaches_target(logged: Sequence[Logged], metric: Metric) -> bool:
    """Tell whether a run has got to where the sweep wants to go."""
    target = metric.target
    if target is None:
        return False
    found = [value for run in logged if (value := run.best(metric)) is not None]
    return any(value >= target if metric.maximize else value <= target for value in found)


def _impute_one(run: Logged, metric: Metric, worst: float | None) -> float | None:
    at_work = run.state not in ENDED
    strategy = metric.impute_while_running if at_work else metric.impute
    if strategy is None:
        return None
    if run.span and (at_work or run.state == "finished"):
        return run.best(metric)
    if strategy == "worst":
        return worst
    if strategy == "best" or run.span is None:
        return run.best(metric)
    return run.span.latest


def _history(connection: sqlite3.Connection, run: Run, metric: Metric) -> _History:
    return _History(run.id, run.created_at, run.heartbeat_at, metric.name, connection)


def _values(history: _History) -> list[float]:
    rows = sample_rows(
        history.connection, history.run_id, {"keys": [history.metric], "samples": _ALL}
    )
    return [row[history.metric] for row in rows if is_number(row[history.metric])]


# Runs that have ended are asked about again with each report of an agent.
@lru_cache(maxsize=10_000)
def _span(history: _History) -> Span | None:
    values = _values(history)
    return Span(min(values), max(values), values[-1]) if values else None


@lru_cache(maxsize=10_000)
def _value_at(history: _History, count: int) -> float | None:
    values = _values(history)
    return values[count - 1] if count <= len(values) else None
