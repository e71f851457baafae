"""The page that searches all projects, runs and artifacts by a piece of their names."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from wandb_server.artifact.lookups import get_collection, get_type
from wandb_server.pages import addresses
from wandb_server.pages.visits import Link, Visit, linked_run
from wandb_server.projects import get_project
from wandb_server.runs import get_run

_MOST = 50  # of each kind


def search(visit: Visit) -> dict[str, Any]:
    """Find what has the words of `q` in its name; of runs also notes, tags, group, job type."""
    text = visit.query.get("q", "").strip()[:200]
    found = {
        "Projects": _projects(visit.connection, text),
        "Runs": _runs(visit.connection, text),
        "Artifacts": _artifacts(visit.connection, text),
    }
    return {
        "q": text,
        "found": {kind: links[:_MOST] for kind, links in found.items() if text and links},
        "cut": {kind for kind, links in found.items() if len(links) > _MOST},
    }


def _rows(
    connection: sqlite3.Connection, table: str, columns: Sequence[str], text: str
) -> list[int]:
    """List the newest rows of which some column holds the text, whatever its case."""
    pattern = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    tests = " OR ".join(f"{column} LIKE :pattern ESCAPE '\\'" for column in columns)
    rows = connection.execute(
        f"SELECT id FROM {table} WHERE {tests} ORDER BY id DESC LIMIT :most",  # noqa: S608  our names
        {"pattern": pattern, "most": _MOST + 1},
    )
    return [row[0] for row in rows]


def _projects(connection: sqlite3.Connection, text: str) -> list[Link]:
    found = [get_project(connection, row) for row in _rows(connection, "project", ["name"], text)]
    return [Link(item.name, addresses.project(item.entity, item.name), []) for item in found]


def _runs(connection: sqlite3.Connection, text: str) -> list[Link]:
    columns = ["name", "display_name", "notes", "tags", "group_name", "job_type"]
    links = []
    for row in _rows(connection, "run", columns, text):
        run = get_run(connection, row)
        link = linked_run(connection, run)
        home = get_project(connection, run.project_id)
        links.append(link._replace(notes=[home.name, *link.notes]))
    return links


def _artifacts(connection: sqlite3.Connection, text: str) -> list[Link]:
    links = []
    for row in _rows(connection, "collection", ["name", "description"], text):
        found = get_collection(connection, row)
        home = get_project(connection, found.project_id)
        kind = get_type(connection, found.type_id).name
        url = addresses.collection(home.entity, home.name, kind, found.name)
        links.append(Link(found.name, url, [home.name, kind]))
    return links
