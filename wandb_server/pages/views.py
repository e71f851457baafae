"""What each page shows: the rows of `queries`, with the links and words that go with them."""

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from wandb_server import queries
from wandb_server.artifact.lookups import (
    find_collection,
    find_member,
    get_artifact,
    get_collection,
    get_type,
)
from wandb_server.artifact.records import Collection
from wandb_server.console import parse_line
from wandb_server.errors import NotFoundError
from wandb_server.lines import OUTPUT, count_lines, read_last_lines
from wandb_server.pages import addresses, formats
from wandb_server.projects import Project, find_project, get_project
from wandb_server.queries import RunRow, VersionRow
from wandb_server.run_files import RunFile
from wandb_server.runs import Run, find_run
from wandb_server.urls import Urls

_RUNS_SHOWN = 500
_METRICS_SHOWN = 6
_CONSOLE_LINES = 500
_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".bmp")

Names = Mapping[str, str]  # the parts of a page's address


class Link(NamedTuple):
    """Something that has a page of its own, and what is said of it beside its name."""

    text: str
    url: str
    notes: list[str]


class FileLink(NamedTuple):
    """A file to look at or to download; `url` is None for a reference, which `note` names."""

    name: str
    size: int
    url: str | None
    note: str
    is_image: bool


def projects(connection: sqlite3.Connection, names: Names) -> dict[str, Any]:
    """List the projects: all, or those of the entity in the address."""
    entity = names.get("entity")
    found = queries.project_summaries(connection)
    shown = [project for project in found if entity in (None, project.entity)]
    if entity and not shown:
        raise NotFoundError(f"Nobody called {entity} has a project here.")
    shown.sort(key=lambda project: project.last_active or project.created_at, reverse=True)
    return {"projects": shown}


def project(connection: sqlite3.Connection, names: Names) -> dict[str, Any]:
    """List a project's runs and artifacts."""
    found = _project(connection, names)
    rows = queries.run_rows(connection, found.id, limit=_RUNS_SHOWN + 1)
    runs = rows[:_RUNS_SHOWN]
    metrics = [_metrics(run) for run in runs]
    return {
        "project": found,
        "runs": [
            {"row": run, "link": _run_link(found, run), "ran": _duration(run), "metrics": values}
            for run, values in zip(runs, metrics, strict=True)
        ],
        "is_cut": len(rows) > _RUNS_SHOWN,
        "metrics": _key_metrics(metrics),
        "collections": [
            {
                "row": row,
                "url": addresses.collection(found.entity, found.name, row.type, row.name),
            }
            for row in queries.collection_rows(connection, found.id)
        ],
    }


def run(urls: Urls, connection: sqlite3.Connection, names: Names) -> dict[str, Any]:
    """Show a run with its settings, results, output, files and artifacts."""
    home = _project(connection, names)
    found = find_run(connection, home.id, names["run"])
    if found is None:
        raise NotFoundError(f"The project {home.name} has no run {names['run']}.")
    page = queries.run_page(connection, found)
    lines = read_last_lines(connection, found.id, OUTPUT, _CONSOLE_LINES)
    return {
        "project": home,
        "run": found,
        "row": page.row,
        "ran": _duration(page.row),
        "config": list(formats.flatten(page.row.config)),
        "summary": list(formats.flatten(page.row.summary)),
        "console": [parse_line(line) for line in lines],
        "lines_left_out": count_lines(connection, found.id, OUTPUT) - len(lines),
        "files": [_run_file(urls, file) for file in page.files],
        "used": [_version_link(connection, row) for row in page.inputs],
        "made": [_version_link(connection, row) for row in page.outputs],
    }


def collection(connection: sqlite3.Connection, names: Names) -> dict[str, Any]:
    """List the versions of an artifact."""
    home, found = _collection(connection, names)
    kind = get_type(connection, found.type_id).name
    url = addresses.collection(home.entity, home.name, kind, found.name)
    return {
        "project": home,
        "collection": found,
        "type": kind,
        "versions": [
            {"row": row, "number": _number(row), "url": f"{url}/{_number(row)}"}
            for row in queries.version_rows(connection, found)
        ],
    }


def version(urls: Urls, connection: sqlite3.Connection, names: Names) -> dict[str, Any]:
    """Show a version of an artifact; the address gives its number or an alias."""
    home, place = _collection(connection, names)
    member = find_member(connection, place.id, names["label"])
    if member is None:
        raise NotFoundError(f"The artifact {place.name} has no version {names['label']}.")
    artifact = get_artifact(connection, member.artifact_id)
    row = queries.version_row(connection, artifact, place, member.version_index)
    page = queries.version_page(connection, artifact, row)
    return {
        "project": home,
        "collection": place,
        "url": addresses.collection(home.entity, home.name, row.type, place.name),
        "number": _number(row),
        "page": page,
        "metadata": list(formats.flatten(page.metadata)),
        "files": [
            FileLink(
                file.name,
                file.size,
                urls.download(file.digest, file.name) if file.digest else None,
                file.ref or "",
                _is_image(file.name),
            )
            for file in page.files
        ],
        "made_by": page.logged_by and _linked_run(connection, page.logged_by),
        "used_by": [_linked_run(connection, user) for user in page.used_by],
    }


def _project(connection: sqlite3.Connection, names: Names) -> Project:
    found = find_project(connection, names["entity"], names["project"])
    if found is None:
        raise NotFoundError(f"There is no project {names['entity']}/{names['project']}.")
    return found


def _collection(connection: sqlite3.Connection, names: Names) -> tuple[Project, Collection]:
    home = _project(connection, names)
    found = find_collection(connection, home.id, names["name"])
    if found is None:
        raise NotFoundError(f"The project {home.name} has no artifact {names['name']}.")
    return home, found


def _run_link(home: Project, row: RunRow) -> Link:
    url = addresses.run(home.entity, home.name, row.name)
    notes = [note for note in (row.job_type, row.group) if note]
    return Link(row.display_name, url, notes)


def _linked_run(connection: sqlite3.Connection, found: Run) -> Link:
    return _run_link(get_project(connection, found.project_id), queries.run_row(found))


def _version_link(connection: sqlite3.Connection, row: VersionRow) -> Link:
    """Link to a version in the project that made it, which may be another one."""
    artifact = get_artifact(connection, row.artifact_id)
    home = get_project(connection, get_collection(connection, artifact.collection_id).project_id)
    name = row.name.rpartition(":")[0]
    url = addresses.collection(home.entity, home.name, row.type, name)
    return Link(row.name, f"{url}/{_number(row)}", [row.type, *row.aliases])


def _run_file(urls: Urls, file: RunFile) -> FileLink:
    url = urls.download(file.digest, file.name)
    return FileLink(file.name, file.size, url, "", _is_image(file.name))


def _is_image(name: str) -> bool:
    return name.lower().endswith(_IMAGES)


def _number(row: VersionRow) -> str:
    return row.name.rpartition(":")[2]


def _duration(row: RunRow) -> str:
    end = formats.now() if row.state == "running" else row.heartbeat_at
    return formats.duration(row.created_at, end)


def _metrics(row: RunRow) -> dict[str, Any]:
    """Give the plain numbers of a run's summary by dotted name."""
    return {
        name: value
        for name, value in formats.flatten(row.summary)
        if isinstance(value, int | float) or value in ("NaN", "Infinity", "-Infinity")
    }


def _key_metrics(metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    """Choose the few metrics that are worth a column: scores first, then what most runs have."""
    counts = Counter(name for values in metrics for name in values)
    scores = {name for values in metrics for name in values if isinstance(values[name], float)}
    ranked = sorted(counts, key=lambda name: (name not in scores, -counts[name], name))
    return ranked[:_METRICS_SHOWN]
