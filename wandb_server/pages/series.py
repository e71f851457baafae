"""Metrics over time: read from a run's lines and thinned out, extremes kept."""

import math
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from wandb_server.history import read_key
from wandb_server.lines import parse_object, read_spread
from wandb_server.pages.logged import sdk_notes
from wandb_server.pages.plots import Point
from wandb_server.runs import Run

STEP, RUNTIME, TIMESTAMP = "_step", "_runtime", "_timestamp"
_MOST_LINES = 20_000  # read of one run; of longer ones every second, third ... line
_MOST_POINTS = 300  # drawn of one line: a chart is 480 units wide


@dataclass(frozen=True)
class Metric:
    """A metric's points by x, all of them, and how many values were no finite numbers."""

    points: list[Point]
    skipped: int


def numeric_keys(run: Run) -> list[str]:
    """List the keys of a run's history that hold numbers, without the SDK's own, sorted."""
    keys = parse_object(run.history_keys).get("keys", {})
    return sorted(
        key
        for key, about in keys.items()
        if not key.startswith("_")
        and any(count["type"] in {"number", "boolean"} for count in about["typeCounts"])
    )


def read_metrics(
    connection: sqlite3.Connection,
    run_id: int,
    stream: str,
    axes: dict[str, str],
    most_lines: int = _MOST_LINES,
) -> dict[str, Metric]:
    """Read metrics of a run.

    Args:
        connection: Open for reading.
        run_id: Row of the run.
        stream: HISTORY or EVENTS.
        axes: The wanted metrics, each with the key that is its x axis.
        most_lines: Of a longer stream, evenly spread lines are read, about so many.

    Returns:
        Each wanted metric; rows without its key or its axis are left out.
    """
    lines = read_spread(connection, run_id, stream, most_lines)
    for number, row in lines:
        row.setdefault(STEP, number)
    rows = [row for _, row in lines]
    places = {axis: _numbers(rows, axis) for axis in set(axes.values())}
    return {key: _pair(places[axis], _numbers(rows, key)) for key, axis in axes.items()}


def _numbers(rows: Sequence[dict[str, Any]], key: str) -> list[float | None]:
    """Read a key of all rows: None where it isn't there, NaN for what is no finite number."""
    values = [row[key] if key in row else read_key(row, key) for row in rows]
    # Of a float, asked for first since nearly all are: only NaN and the infinities differ.
    return [
        value if type(value) is float and value - value == 0 else _number(value) for value in values
    ]


def _number(value: Any) -> float | None:
    if value is None:
        return None
    try:
        return float(value) if math.isfinite(value) else math.nan
    except (TypeError, OverflowError):  # a text such as "NaN", or an integer beyond floats
        return math.nan


def _pair(xs: Sequence[float | None], ys: Sequence[float | None]) -> Metric:
    pairs = [(x, y) for x, y in zip(xs, ys, strict=True) if x is not None and y is not None]
    points = [(x, y) for x, y in pairs if x == x and y == y]  # NaN is unlike itself
    points.sort(key=itemgetter(0))
    return Metric(points, len(pairs) - len(points))


def thin_extremes(points: Sequence[Point], most: int = _MOST_POINTS) -> list[Point]:
    """Keep at most about `most` points: the first and last, and the extremes of equal parts."""
    if len(points) <= most:
        return list(points)
    parts = most // 2 - 1
    kept = [points[0]]
    for part in range(parts):
        piece = points[part * len(points) // parts : (part + 1) * len(points) // parts]
        low, high = min(piece, key=itemgetter(1)), max(piece, key=itemgetter(1))
        kept += sorted({low, high})
    return [*kept, points[-1]]


def defined_axes(run: Run, keys: Iterable[str]) -> dict[str, str]:
    """Find the x axis of each metric: what `run.define_metric` said, else the step.

    The SDK stores these as `{"1": name, "2": glob, "4": step metric, "5": its number}`.
    """
    rules = sdk_notes(run.config).get("m")
    rules = [rule for rule in rules if isinstance(rule, dict)] if isinstance(rules, list) else []
    return {key: _axis(rules, key) or STEP for key in keys}


def _axis(rules: Sequence[dict[str, Any]], key: str) -> str | None:
    exact = [rule for rule in rules if rule.get("1") == key]
    globs = [
        rule
        for rule in rules
        if str(rule.get("2", "")).endswith("*") and key.startswith(str(rule["2"])[:-1])
    ]
    for rule in exact + globs:
        number = rule.get("5")
        if isinstance(number, int) and 1 <= number <= len(rules):
            return str(rules[number - 1].get("1"))
        if rule.get("4"):
            return str(rule["4"])
    return None
