"""Find the runs of a project by filter and order, a page at a time."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from wandb_server.errors import NotFoundError
from wandb_server.filters import Document, Predicate, parse_filter, parse_order, sort_documents
from wandb_server.projects import DEFAULT_ENTITY
from wandb_server.runs import current_state

# Columns by the names that clients use for them; some have two.
_COLUMNS = {
    **{
        name: name
        for name in ("name", "tags", "notes", "host", "program", "commit_hash", "exitcode")
    },
    **dict.fromkeys(("display_name", "displayName"), "display_name"),
    **dict.fromkeys(("job_type", "jobType"), "job_type"),
    **dict.fromkeys(("group_name", "group"), "group_name"),
    **dict.fromkeys(("sweep_name", "sweep"), "sweep_name"),
    **dict.fromkeys(("created_at", "createdAt"), "created_at"),
    **dict.fromkeys(("updated_at", "updatedAt"), "updated_at"),
    **dict.fromkeys(("heartbeat_at", "heartbeatAt"), "heartbeat_at"),
    "config": "config",
    **dict.fromkeys(("summary_metrics", "summaryMetrics"), "summary_metrics"),
    "entity": "(SELECT entity FROM project WHERE project.id = project_id)",
    "username": f"'{DEFAULT_ENTITY}'",  # there is one user
}
_SEARCHED = ("displayName", "name", "group", "jobType", "notes")
_JSON = ("tags", "config", "summary_metrics", "summaryMetrics")
# What is computed, from which columns; a search for a word looks at the text.
_COMPUTED = {"duration": ("created_at", "heartbeat_at"), "text": (*_SEARCHED, "tags")}
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
        asked: Text that names all fields that are wanted, those of the filter and the order
            among them: what it doesn't name isn't read, since reading is what takes time.
            `duration` (seconds) and `text` (names, notes and tags) are computed.

    Returns:
        One document a run that passes, in order, with the fields asked for; each has `state`
        and `row`, the row of the run.
    """
    rows = connection.execute(f"{_select(asked)} WHERE project_id = ? ORDER BY id", (project_id,))
    documents = _lay_out(rows, asked)
    return sort_documents([item for item in documents if passes(item)], order)


def read_document(connection: sqlite3.Connection, row: int) -> Document:
    """Lay one run out with all fields but the computed ones.

    Raises:
        NotFoundError: There is no such run.
    """
    asked = " ".join(_COLUMNS)
    found = _lay_out(connection.execute(f"{_select(asked)} WHERE id = ?", (row,)), asked)
    document = next(found, None)
    if document is None:
        raise NotFoundError(f"run {row} doesn't exist")
    return document


def _select(asked: str) -> str:
    wanted = {name for name in _COLUMNS if name in asked}
    wanted.update(*(sources for name, sources in _COMPUTED.items() if name in asked))
    columns = "".join(f', {_COLUMNS[name]} AS "{name}"' for name in sorted(wanted))
    return f"SELECT id AS row, state AS _state, heartbeat_at AS _heartbeat{columns} FROM run"  # noqa: S608  our names


def _lay_out(rows: sqlite3.Cursor, asked: str) -> Iterator[dict[str, Any]]:
    """Lay runs out under the names that filters and orders use."""
    rows.row_factory = None  # plain tuples: sqlite3.Row takes three times as long
    names = [column[0] for column in rows.description]
    parsed = [name for name in _JSON if name in names]
    has_duration, has_text = "duration" in asked, "text" in asked
    for row in rows:
        document: dict[str, Any] = dict(zip(names, row, strict=True))
        document["state"] = current_state(document.pop("_state"), document.pop("_heartbeat"))
        for name in parsed:
            document[name] = _parse(document[name])
        if has_duration:
            document["duration"] = _seconds(document)
        if has_text:
            document["text"] = _text(document)
        yield document


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


def _seconds(row: Mapping[str, Any]) -> float:
    """Give the time from a run's start to its last sign of life."""
    start, end = (datetime.fromisoformat(row[key]) for key in ("created_at", "heartbeat_at"))
    return (end - start).total_seconds()
