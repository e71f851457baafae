"""What the pages show: plain reads that return typed rows."""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from wandb_server.artifact.lineage import list_inputs, list_outputs, list_users
from wandb_server.artifact.lookups import (
    get_artifact,
    get_collection,
    get_type,
    list_aliases,
    list_artifact_files,
    list_artifact_tags,
    list_collections,
    list_versions,
)
from wandb_server.artifact.records import (
    LOGGED_TABLE,
    Artifact,
    ArtifactFile,
    Collection,
)
from wandb_server.database import fetch, fetch_count
from wandb_server.lines import finite, parse_object
from wandb_server.projects import Project, list_projects
from wandb_server.run_files import RunFile, list_files
from wandb_server.run_search import search_runs
from wandb_server.runs import Run, get_run


@dataclass(frozen=True)
class ProjectSummary:
    """A project with what it holds; `last_active` is None before its first run.

    `collections` counts artifacts that people made, not the tables that the SDK makes into some.
    """

    entity: str
    name: str
    created_at: str
    last_active: str | None
    runs: int
    collections: int


@dataclass(frozen=True)
class RunRow:
    """A run in a list; `config` and `summary` without the SDK's own keys."""

    id: int
    name: str
    display_name: str
    state: str
    group: str | None
    job_type: str | None
    tags: list[str]
    created_at: str
    heartbeat_at: str
    config: dict[str, Any]
    summary: dict[str, Any]


@dataclass(frozen=True)
class Alert:
    """What a run wanted somebody to know; severity is INFO, WARN or ERROR."""

    title: str
    text: str
    severity: str
    created_at: str


@dataclass(frozen=True)
class RunPage:
    """A run with all that belongs to it; its alerts from the newest on."""

    row: RunRow
    run: Run
    alerts: list[Alert]
    files: list[RunFile]
    inputs: list["VersionRow"]
    outputs: list["VersionRow"]


@dataclass(frozen=True)
class VersionRow:
    """A version in a list: `name` is `collection:v3`, size in bytes."""

    artifact_id: int
    name: str
    type: str
    aliases: list[str]
    tags: list[str]
    size: int
    file_count: int
    created_at: str


@dataclass(frozen=True)
class CollectionRow:
    """A collection in a list; kind is SEQUENCE or PORTFOLIO."""

    id: int
    name: str
    type: str
    kind: str
    versions: int
    latest: str
    aliases: list[str]
    updated_at: str


@dataclass(frozen=True)
class VersionPage:
    """A version with its files and the runs on both sides of it."""

    row: VersionRow
    description: str | None
    metadata: dict[str, Any]
    digest: str
    files: list[ArtifactFile]
    logged_by: Run | None
    used_by: list[Run]


def project_summaries(connection: sqlite3.Connection) -> list[ProjectSummary]:
    """List all projects, the newest first."""
    return [_project_summary(connection, project) for project in list_projects(connection)]


def run_rows(
    connection: sqlite3.Connection,
    project_id: int,
    filters: str | None = None,
    order: str | None = "-created_at",
    limit: int = 200,
) -> list[RunRow]:
    """List runs of a project.

    Args:
        connection: Open for reading.
        project_id: Row of the project.
        filters: JSON text as in `filters.py`; None lists all.
        order: As in `filters.py`.
        limit: At most so many.

    Raises:
        ClientError: The filter can't be read.
    """
    found = search_runs(connection, project_id, filters, order)[:limit]
    return [run_row(get_run(connection, run_id)) for run_id in found]


def run_row(run: Run) -> RunRow:
    """Read the JSON columns of a run."""
    config = parse_object(run.config)
    values = {
        key: item["value"] if isinstance(item, dict) and "value" in item else item
        for key, item in config.items()
        if key != "_wandb"
    }
    summary = parse_object(run.summary_metrics)
    return RunRow(
        id=run.id,
        name=run.name,
        display_name=run.display_name or run.name,
        state=run.current_state(),
        group=run.group_name,
        job_type=run.job_type,
        tags=json.loads(run.tags),
        created_at=run.created_at,
        heartbeat_at=run.heartbeat_at,
        config=finite(values),
        summary=finite({key: summary[key] for key in summary if not key.startswith("_")}),
    )


def run_page(connection: sqlite3.Connection, run: Run) -> RunPage:
    """Collect what belongs to a run."""
    return RunPage(
        row=run_row(run),
        run=run,
        alerts=fetch(
            connection,
            Alert,
            "SELECT title, text, severity, created_at FROM alert WHERE run_id = ?"
            " ORDER BY id DESC LIMIT 50",
            run.id,
        ),
        files=list_files(connection, run.id),
        inputs=[version_row(connection, item) for item in list_inputs(connection, run.id)],
        outputs=[version_row(connection, item) for item in list_outputs(connection, run.id)],
    )


def collection_rows(connection: sqlite3.Connection, project_id: int) -> list[CollectionRow]:
    """List the collections of a project that hold a version, the newest first."""
    found = list_collections(connection, project_id)
    return [_collection_row(connection, collection) for collection in found]


def version_rows(
    connection: sqlite3.Connection, collection: Collection, limit: int | None = None
) -> list[VersionRow]:
    """List versions of a collection, the newest first, under their numbers there.

    Args:
        connection: Open for reading.
        collection: Whose versions.
        limit: At most so many; None lists all.
    """
    return [
        version_row(
            connection,
            get_artifact(connection, member.artifact_id),
            collection,
            member.version_index,
        )
        for member in list_versions(connection, collection.id)[:limit]
    ]


def version_numbers(connection: sqlite3.Connection, collection_id: int) -> list[int]:
    """List the numbers of a collection's versions, the newest first."""
    return [member.version_index for member in list_versions(connection, collection_id)]


def version_row(
    connection: sqlite3.Connection,
    artifact: Artifact,
    collection: Collection | None = None,
    version: int | None = None,
) -> VersionRow:
    """Describe a committed version as a member of a collection, by default of its own one."""
    place = collection or get_collection(connection, artifact.collection_id)
    number = artifact.version_index if version is None else version
    return VersionRow(
        artifact_id=artifact.id,
        name=f"{place.name}:v{number}",
        type=get_type(connection, place.type_id).name,
        aliases=[item.alias for item in list_aliases(connection, artifact.id, place.id)],
        tags=[tag.name for tag in list_artifact_tags(connection, artifact.id)],
        size=artifact.size,
        file_count=artifact.file_count,
        created_at=artifact.created_at,
    )


def version_page(
    connection: sqlite3.Connection, artifact: Artifact, row: VersionRow
) -> VersionPage:
    """Collect what belongs to a version that is shown as `row`."""
    return VersionPage(
        row=row,
        description=artifact.description,
        metadata=finite(parse_object(artifact.metadata or "{}")),
        digest=artifact.digest,
        files=list_artifact_files(connection, artifact.id),
        logged_by=None if artifact.run_id is None else get_run(connection, artifact.run_id),
        used_by=list_users(connection, artifact.id),
    )


def _project_summary(connection: sqlite3.Connection, project: Project) -> ProjectSummary:
    last = connection.execute(
        "SELECT max(heartbeat_at) FROM run WHERE project_id = ?", (project.id,)
    ).fetchone()[0]
    count = "SELECT count(*) FROM run WHERE project_id = ?"
    made = (
        "SELECT count(*) FROM collection JOIN artifact_type ON artifact_type.id = type_id"
        " WHERE collection.project_id = ? AND artifact_type.name != ?"
        " AND EXISTS (SELECT 1 FROM membership WHERE collection_id = collection.id)"
    )
    return ProjectSummary(
        entity=project.entity,
        name=project.name,
        created_at=project.created_at,
        last_active=last,
        runs=fetch_count(connection, count, project.id),
        collections=fetch_count(connection, made, project.id, LOGGED_TABLE),
    )


def _collection_row(connection: sqlite3.Connection, collection: Collection) -> CollectionRow:
    sql = "SELECT count(*), max(version_index) FROM membership WHERE collection_id = ?"
    versions, newest = connection.execute(sql, (collection.id,)).fetchone()
    return CollectionRow(
        id=collection.id,
        name=collection.name,
        type=get_type(connection, collection.type_id).name,
        kind=collection.kind,
        versions=versions,
        latest=f"v{newest}",
        aliases=[item.alias for item in list_aliases(connection, None, collection.id)],
        updated_at=collection.updated_at,
    )
