"""The page that searches all projects, runs and artifacts by a piece of their names."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from wandb_server import queries
from wandb_server.artifact.lookups import find_member, get_artifact, get_collection, get_type
from wandb_server.pages import addresses
from wandb_server.pages.visits import Link, Visit, linked_run
from wandb_server.projects import get_project
from wandb_server.runs import get_run

_MOST = 50  # of each kind


def search(visit: Visit) -> dict[str, Any]:
    """Find what has the words of `q` in its name; of runs also notes, tags, group, job type.

    Versions are found by an alias, or as `name:alias` or `name:v3`.
    """
    text = visit.query.get("q", "").strip()[:200]
    found = {
        "Projects": _projects(visit.connection, text),
        "Runs": _runs(visit.connection, text),
        "Artifacts": _artifacts(visit.connection, text),
        "Versions": _versions(visit.connection, text),
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
    tests = " OR ".join(f"{column} LIKE :pattern ESCAPE '\\'" for column in columns)
    rows = connection.execute(
        f"SELECT id FROM {table} WHERE {tests} ORDER BY id DESC LIMIT :most",  # noqa: S608  our names
        {"pattern": _pattern(text), "most": _MOST + 1},
    )
    return [row[0] for row in rows]


def _pattern(text: str) -> str:
    """Write what LIKE takes for any text that holds this one."""
    return "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


def _versions(connection: sqlite3.Connection, text: str) -> list[Link]:
    name, _, label = text.rpartition(":")
    places = connection.execute(
        "SELECT collection_id, alias FROM alias WHERE alias LIKE ? ESCAPE '\\'"
        " UNION ALL SELECT id, ? FROM collection WHERE name = ? LIMIT ?",
        (_pattern(text), label, name, _MOST + 1),
    ).fetchall()
    links: dict[str, Link] = {}
    for row, wanted in places:
        place = get_collection(connection, row)
        home = get_project(connection, place.project_id)
        if member := find_member(connection, row, wanted):
            artifact = get_artifact(connection, member.artifact_id)
            found = queries.version_row(connection, artifact, place, member.version_index)
            url = addresses.collection(home.entity, home.name, found.type, place.name)
            url += f"/v{member.version_index}"
            links[url] = Link(found.name, url, [home.name, found.type, *found.aliases])
    return list(links.values())


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
