"""Find the runs of a project by filter and order, a page at a time."""

import json
import sqlite3
from typing import Any

from wandb_server.filters import Document, parse_filter, parse_order, sort_documents
from wandb_server.runs import current_state

# Names that clients use for a field, by column.
_ALIASES = {
    "display_name": "displayName",
    "job_type": "jobType",
    "created_at": "createdAt",
    "heartbeat_at": "heartbeatAt",
    "updated_at": "updatedAt",
    "group_name": "group",
    "sweep_name": "sweep",
}
_PLAIN = (
    "id, name, display_name, state, group_name, job_type, tags, notes, host, program,"
    " commit_hash, sweep_name, exitcode, created_at, updated_at, heartbeat_at"
)


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
    passes = parse_filter(filters)
    fields = parse_order(order)
    asked = f"{filters} {order}"
    columns = _PLAIN
    for column in ("config", "summary_metrics"):
        # Parsing these is what takes time, so they are read only when they are asked for.
        if column in asked or "summaryMetrics" in asked:
            columns += f", {column}"
    rows = connection.execute(
        f"SELECT {columns} FROM run WHERE project_id = ? ORDER BY id",  # noqa: S608  our names
        (project_id,),
    )
    documents = [document for document in map(_document, rows) if passes(document)]
    return [int(document["row"]) for document in sort_documents(documents, fields)]


def _document(row: sqlite3.Row) -> Document:
    """Lay a run out under the names that filters and orders use."""
    document: dict[str, Any] = dict(row)
    document["row"] = document.pop("id")
    document["state"] = current_state(row["state"], row["heartbeat_at"])
    document["tags"] = json.loads(row["tags"])
    for column, alias in _ALIASES.items():
        document[alias] = document[column]
    if "config" in document:
        document["config"] = json.loads(document["config"])
    if "summary_metrics" in document:
        document["summary_metrics"] = json.loads(document["summary_metrics"])
        document["summaryMetrics"] = document["summary_metrics"]
    return document
