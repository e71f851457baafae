"""Find the runs of a project by filter and order, a page at a time."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from wandb_server.filters import Document, Predicate, parse_filter, parse_order, sort_documents
from wandb_server.runs import current_state

# Columns under all the names that clients use for them.
_PLAIN = """id AS row, name, state, tags, notes, host, program, commit_hash, exitcode,
    display_name, display_name AS displayName, job_type, job_type AS jobType,
    group_name, group_name AS "group", sweep_name, sweep_name AS sweep,
    created_at, created_at AS createdAt, updated_at, updated_at AS updatedAt,
    heartbeat_at, heartbeat_at AS heartbeatAt"""
_SEARCHED = ("displayName", "name", "group", "jobType", "notes")
# Reading the same JSON again takes ten times as long as finding it here. Large texts aren't
# kept, so that the memory has a bound: 50 MB for texts of 1 kB, 200 MB if all are of 4 kB.
_KEPT_TEXTS, _LARGEST_KEPT = 12_000, 4_096


def search_runs(
    connection: sqlite3.Connection, project_id: int, filters: str | None, order: str | None
) -> list[int]:
    """Find runs.

    Args:
        connection: Open for reading.
        project_id: Row of the project.
        filters: Filter as JSON text, see `filters.py`; None finds all runs.
        order: Such as `-created_at`; None means the oldest first.

    Returns:
        The rows of the runs that pass, in order.

    Raises:
        ClientError: The filter can't be read.
    """
    found = find_documents(
        connection, project_id, parse_filter(filters), parse_order(order), f"{filters} {order}"
    )
    return [int(document["row"]) for document in found]


def find_documents(
    connection: sqlite3.Connection,
    project_id: int,
    passes: Predicate,
    order: Sequence[tuple[str, bool]],
    asked: str,
) -> list[Document]:
    """Find runs, laid out under the names that filters and orders use.

    Args:
        connection: Open for reading.
        project_id: Row of the project.
        passes: From `parse_filter`.
        order: Pairs of a field and whether it is descending; empty means the oldest first.
        asked: Text that names all fields that are wanted; what it doesn't name of config,
            summary_metrics, duration (seconds) and text (the names, notes and tags) is left
            out, since making them takes time.

    Returns:
        One document a run that passes, in order; `row` is its row.
    """
    columns = _PLAIN
    for column in ("config", "summary_metrics"):
        if column in asked or ("summaryMetrics" in asked and column != "config"):
            columns += f", {column}"
    rows = connection.execute(
        f"SELECT {columns} FROM run WHERE project_id = ? ORDER BY id",  # noqa: S608  our names
        (project_id,),
    )
    found = []
    for row in rows:
        document = _document(row)
        if "duration" in asked:
            document["duration"] = _seconds(row)
        if "text" in asked:
            document["text"] = _text(document)
        if passes(document):
            found.append(document)
    return sort_documents(found, order)


def _document(row: sqlite3.Row) -> dict[str, Any]:
    """Lay a run out under the names that filters and orders use."""
    document: dict[str, Any] = dict(row)
    document["state"] = current_state(row["state"], row["heartbeat_at"])
    document["tags"] = _parse(document["tags"])
    if "config" in document:
        document["config"] = _parse(document["config"])
    if "summary_metrics" in document:
        document["summary_metrics"] = _parse(document["summary_metrics"])
        document["summaryMetrics"] = document["summary_metrics"]
    return document


def _parse(text: str) -> Any:
    return _parse_kept(text) if len(text) <= _LARGEST_KEPT else json.loads(text)


@lru_cache(_KEPT_TEXTS)
def _parse_kept(text: str) -> Any:
    """Read JSON; who gets the value must not change it."""
    return json.loads(text)


def _text(document: Document) -> str:
    """Join what a search for a word looks at."""
    return "\n".join(
        [*(str(document[name] or "") for name in _SEARCHED), *map(str, document["tags"])]
    )


def _seconds(row: sqlite3.Row) -> float:
    """Give the time from a run's start to its last sign of life."""
    start, end = (datetime.fromisoformat(row[key]) for key in ("created_at", "heartbeat_at"))
    return (end - start).total_seconds()
