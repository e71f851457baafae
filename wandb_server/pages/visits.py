"""One look at a page, and the links and words that several pages share."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from starlette.datastructures import QueryParams

from wandb_server import queries
from wandb_server.artifact.lookups import find_collection, get_artifact, get_collection
from wandb_server.artifact.records import Collection
from wandb_server.blobs import BlobStore
from wandb_server.errors import NotFoundError
from wandb_server.pages import addresses, formats
from wandb_server.projects import Project, find_project, get_project
from wandb_server.queries import RunRow, VersionRow
from wandb_server.runs import Run, find_run
from wandb_server.urls import Urls

_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".bmp")


@dataclass(frozen=True)
class Visit:
    """What a page is made from.

    `names` are the parts of the address, `query` is what stands behind its question mark,
    `token` is what a form must send back to change anything.
    """

    connection: sqlite3.Connection
    names: Mapping[str, str]
    query: QueryParams
    urls: Urls
    blobs: BlobStore
    token: str


class Link(NamedTuple):
    """Something that has a page of its own, and what is said of it beside its name."""

    text: str
    url: str
    notes: list[str]


class FileLink(NamedTuple):
    """A file; `url` and `preview` are None for a reference, which `note` names."""

    name: str
    size: int
    url: str | None
    note: str
    is_image: bool
    is_page: bool
    preview: str | None


def find_home(visit: Visit) -> Project:
    """Look up the project in the address.

    Raises:
        NotFoundError: There is none.
    """
    found = find_project(visit.connection, visit.names["entity"], visit.names["project"])
    if found is None:
        raise NotFoundError(
            f"There is no project {visit.names['entity']}/{visit.names['project']}."
        )
    return found


def find_named_run(visit: Visit, home: Project, name: str) -> Run:
    """Look up a run of a project.

    Raises:
        NotFoundError: There is none.
    """
    found = find_run(visit.connection, home.id, name)
    if found is None:
        raise NotFoundError(f"The project {home.name} has no run {name}.")
    return found


def find_place(visit: Visit) -> tuple[Project, Collection]:
    """Look up the collection in the address, and its project.

    Raises:
        NotFoundError: There is none.
    """
    home = find_home(visit)
    found = find_collection(visit.connection, home.id, visit.names["name"])
    if found is None:
        raise NotFoundError(f"The project {home.name} has no artifact {visit.names['name']}.")
    return home, found


def run_link(home: Project, row: RunRow) -> Link:
    """Link to a run, with its job type and group."""
    notes = [note for note in (row.job_type, row.group) if note]
    return Link(row.display_name, addresses.run(home.entity, home.name, row.name), notes)


def linked_run(connection: sqlite3.Connection, found: Run) -> Link:
    """Link to a run of any project."""
    return run_link(get_project(connection, found.project_id), queries.run_row(found))


def version_link(connection: sqlite3.Connection, row: VersionRow) -> Link:
    """Link to a version in the project that made it, which may be another one."""
    artifact = get_artifact(connection, row.artifact_id)
    home = get_project(connection, get_collection(connection, artifact.collection_id).project_id)
    name = row.name.rpartition(":")[0]
    url = addresses.collection(home.entity, home.name, row.type, name)
    return Link(row.name, f"{url}/{version_number(row)}", [row.type, *row.aliases])


def file_link(
    urls: Urls, page: str, name: str, size: int, digest: str | None, ref: str | None
) -> FileLink:
    """Link to a file of a run or version, whose own page is `page`."""
    url = urls.download(digest, name) if digest else None
    preview = addresses.file(page, name) if digest else None
    is_page = name.lower().endswith((".html", ".htm"))
    return FileLink(name, size, url, ref or "", is_image(name), is_page, preview)


def is_image(name: str) -> bool:
    """Tell by its name whether a browser shows a file as an image."""
    return name.lower().endswith(_IMAGES)


def version_number(row: VersionRow) -> str:
    """Give the `v3` of a version."""
    return row.name.rpartition(":")[2]


def run_duration(row: RunRow) -> str:
    """Write how long a run took so far."""
    end = formats.now() if row.state == "running" else row.heartbeat_at
    return formats.duration(row.created_at, end)


def run_metrics(row: RunRow) -> dict[str, Any]:
    """Give the plain numbers of a run's summary by dotted name."""
    return {
        name: value
        for name, value in formats.flatten(row.summary)
        if isinstance(value, int | float) or value in ("NaN", "Infinity", "-Infinity")
    }
