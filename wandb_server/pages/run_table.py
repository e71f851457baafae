"""The table of runs of a project: found, sorted, grouped and paged as a view asks."""

import json
import math
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from wandb_server.filters import MISSING, Document, field_reader, parse_filter
from wandb_server.pages import formats
from wandb_server.pages.expressions import field_path, quote, read_expression
from wandb_server.pages.run_view import RunView
from wandb_server.run_search import find_documents, read_document

PAGE_SIZE = 50
_METRICS_CHOSEN = 6
_SETTINGS_CHOSEN = 4
_GROUPS_SHOWN = 200


@dataclass(frozen=True)
class Page:
    """One page of a table: the documents of its runs, and how many runs there are in all."""

    runs: list[Document]
    total: int
    pages: int


@dataclass(frozen=True)
class Group:
    """Runs that share a value: how many, and means and ranges by column.

    `filter` finds these runs only; None if no filter can say it, as with a list.
    """

    value: Any
    count: int
    filter: str | None
    means: list[float | None]
    ranges: list[tuple[float, float] | None]


def find_runs(
    connection: sqlite3.Connection, project_id: int, view: RunView, wanted: Iterable[str] = ()
) -> list[Document]:
    """Find all runs that a view is about, in its order.

    Args:
        connection: Open for reading.
        project_id: Row of the project.
        view: What to find.
        wanted: Keys of columns that are needed of every run, not of one page only.

    Raises:
        ClientError: The filter can't be read.
    """
    conditions = json.dumps(read_expression(view.filter))
    path = field_path(view.sort.removeprefix("-"))
    asked = " ".join([conditions, path, *map(field_path, wanted)])
    order = [(path, view.sort.startswith("-"))]
    return find_documents(connection, project_id, parse_filter(conditions), order, asked)


def cut_page(connection: sqlite3.Connection, found: Sequence[Document], number: int) -> Page:
    """Take one page of runs, the last one at most, and read their settings and results."""
    pages = max(math.ceil(len(found) / PAGE_SIZE), 1)
    start = (min(number, pages) - 1) * PAGE_SIZE
    runs = [complete(connection, run) for run in found[start : start + PAGE_SIZE]]
    return Page(runs, len(found), pages)


def complete(connection: sqlite3.Connection, run: Document) -> Document:
    """Read all of a run: its settings, its results, how long it ran so far."""
    whole = read_document(connection, run["row"])
    end = formats.now() if whole["state"] == "running" else whole["heartbeatAt"]
    return {**whole, "duration": formats.seconds_between(whole["createdAt"], end)}


def read_cell(run: Document, key: str) -> Any:
    """Read the value of a column; None when the run hasn't got it."""
    found = _reader(key)(run)
    return None if found is MISSING else found


@lru_cache(200)
def _reader(key: str) -> Callable[[Document], Any]:
    return field_reader(field_path(key))


def known_columns(runs: Iterable[Document]) -> list[str]:
    """List the settings and results that runs have, as keys of columns, sorted."""
    found: set[str] = set()
    for run in runs:
        found.update(f"config.{name}" for name, _ in settings(run))
        found.update(f"summary.{name}" for name, _ in results(run))
    return sorted(found)


def settings(run: Document) -> list[tuple[str, Any]]:
    """List a run's settings by dotted name, without those of the SDK."""
    values = {
        key: item["value"] if isinstance(item, dict) and "value" in item else item
        for key, item in run["config"].items()
        if key != "_wandb"
    }
    return list(formats.flatten(values))


def results(run: Document) -> list[tuple[str, Any]]:
    """List a run's plain results by dotted name, without those of the SDK."""
    return [
        (name, value)
        for name, value in formats.flatten(run["summary_metrics"])
        if not name.startswith("_") and not isinstance(value, dict | list)
    ]


def choose_columns(runs: Sequence[Document], view: RunView) -> tuple[str, ...]:
    """Choose columns for a view that names none: its order's, and what tells the runs apart."""
    own = ["state", "job_type", "group", "created", "duration", view.sort.removeprefix("-")]
    metrics = _key_metrics([dict(results(run)) for run in runs])
    varied = varying([dict(settings(run)) for run in runs])[:_SETTINGS_CHOSEN]
    chosen = [f"summary.{name}" for name in metrics] + [f"config.{name}" for name in varied]
    return tuple(dict.fromkeys(key for key in own + chosen if key != "name"))


def varying(settings_of_runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """List the settings that differ between runs, the ones that most runs have first.

    What only some runs have differs too, unless it is all that there is of it.
    """
    counts = Counter(name for values in settings_of_runs for name in values)
    different = [
        name
        for name in counts
        if len({json.dumps(values.get(name)) for values in settings_of_runs if name in values}) > 1
    ]
    return sorted(different, key=lambda name: (-counts[name], name))


def _key_metrics(metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    """Choose the few metrics that are worth a column: scores first, then what most runs have.

    A name of more than two parts, such as `standard_error/val/loss`, is of a detail.
    """
    numbers = [
        {name: value for name, value in values.items() if isinstance(value, int | float)}
        for values in metrics
    ]
    counts = Counter(name for values in numbers for name in values)
    scores = {name for values in numbers for name in values if isinstance(values[name], float)}

    def rank(name: str) -> tuple[bool, bool, int, str]:
        return name.count("/") > 1, name not in scores, -counts[name], name

    ranked = sorted(counts, key=rank)
    return ranked[:_METRICS_CHOSEN]


def group_runs(
    found: Sequence[Document], view: RunView, columns: Sequence[str]
) -> tuple[list[Group], int]:
    """Put runs that share a value together, the largest groups first.

    Returns:
        At most 200 groups with the mean and the range of each numeric column, and how many
        groups there are in all.
    """
    members: dict[str, list[Document]] = {}
    for run in found:
        members.setdefault(json.dumps(read_cell(run, view.group)), []).append(run)
    ranked = sorted(members.items(), key=lambda item: -len(item[1]))
    shown = ranked[:_GROUPS_SHOWN]
    return [_group(json.loads(key), runs, view, columns) for key, runs in shown], len(ranked)


def _group(value: Any, runs: list[Document], view: RunView, columns: Sequence[str]) -> Group:
    numbers = [numbers_of(runs, column) for column in columns]
    return Group(
        value=value,
        count=len(runs),
        filter=narrow(view, value),
        means=[sum(values) / len(values) if values else None for values in numbers],
        ranges=[(min(values), max(values)) if values else None for values in numbers],
    )


def narrow(view: RunView, value: Any) -> str | None:
    """Write the filter that finds the runs of a group only."""
    if isinstance(value, dict | list):
        return None
    text = quote(value) if isinstance(value, str) else json.dumps(value)
    own = f"{quote(view.group)} = {text}"
    return f"({view.filter}) and {own}" if view.filter else own


def numbers_of(runs: Iterable[Document], key: str) -> list[float]:
    """List the finite numbers that runs have in a column."""
    read = _reader(key)
    values = (formats.as_number(read(run)) for run in runs)
    return [value for value in values if value is not None]


def read_number(run: Document, key: str) -> float | None:
    """Read the value of a column if it is a finite number; else None."""
    return formats.as_number(_reader(key)(run))
