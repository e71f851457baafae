"""What there is to publish: a project's runs and versions, read from the data folder."""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from wandb_server.artifact.lineage import list_inputs, list_outputs
from wandb_server.artifact.lookups import (
    get_collection,
    get_type,
    list_aliases,
    list_artifact_tags,
    list_collection_tags,
)
from wandb_server.artifact.records import Artifact, Collection
from wandb_server.console import parse_line
from wandb_server.database import fetch
from wandb_server.lines import OUTPUT, count_lines, parse_object, read_lines
from wandb_server.projects import Project, find_project, get_project, list_projects
from wandb_server.run_files import RunFile, list_files
from wandb_server.runs import Run
from wandb_server.server_error import ServerError


@dataclass(frozen=True)
class SourceRun:
    """A run and how much belongs to it.

    `first` is the time stamp of its first row of history (seconds since 1970; None without
    one), `last_step` is -1 without history. `hidden` counts the values that writers of a shared
    run logged at a step at which another one logged the same key.
    """

    row: Run
    first: float | None
    last_step: int
    console_lines: int
    files: list[RunFile]
    hidden: int = 0


@dataclass(frozen=True)
class SourceVersion:
    """A committed version; `run` is the id of the project's run that logged it, if any."""

    artifact: Artifact
    collection: Collection
    type: str
    aliases: list[str]
    tags: list[str]
    run: str | None

    @property
    def name(self) -> str:
        """Its name here, such as `table:v3`."""
        return f"{self.collection.name}:v{self.artifact.version_index}"


@dataclass(frozen=True)
class ForeignVersion:
    """A version of another project that a run of this one used; `collection` is its name."""

    project: Project
    collection: str
    type: str
    digest: str


@dataclass(frozen=True)
class Link:
    """A run of the project, by its id, that used (or else logged) a version.

    `artifact_id` is the version's row, `name` says which it is, with its project when that
    is another one, `foreign` describes it then; `used_as` is None but for some uses.
    """

    run: str
    artifact_id: int
    name: str
    used: bool
    used_as: str | None = None
    foreign: ForeignVersion | None = None


@dataclass(frozen=True)
class Source:
    """A project: runs as they were made, versions as they were committed."""

    project: Project
    runs: list[SourceRun]
    versions: list[SourceVersion]
    links: list[Link]
    clients: dict[str, int]
    collection_tags: dict[int, list[str]]


def read_source(connection: sqlite3.Connection, path: str) -> Source:
    """Read all of a project but history, console lines and contents of files.

    Args:
        connection: Inside a read transaction.
        path: `name`, or `entity/name`.

    Raises:
        ServerError: There is no such project.
    """
    entity, _, name = path.rpartition("/")
    project = find_project(connection, entity or None, name)
    if project is None:
        known = ", ".join(f"{item.entity}/{item.name}" for item in list_projects(connection))
        raise ServerError(f"no project {path!r} is in the data folder; there are: {known}")
    rows = fetch(connection, Run, "SELECT * FROM run WHERE project_id = ? ORDER BY id", project.id)
    versions = _read_versions(connection, project.id, {run.id: run.name for run in rows})
    own = {version.artifact.id for version in versions}
    collections = {version.collection.id for version in versions}
    return Source(
        project=project,
        runs=[_read_run(connection, run) for run in rows],
        versions=versions,
        links=[link for run in rows for link in _read_links(connection, run, own)],
        clients=dict(connection.execute("SELECT client_id, artifact_id FROM artifact_client")),
        collection_tags={
            id_: [tag.name for tag in list_collection_tags(connection, id_)] for id_ in collections
        },
    )


def read_history(connection: sqlite3.Connection, run_id: int, after: int) -> list[tuple[int, str]]:
    """Read the lines of history beyond a step, in order, as (step, JSON text)."""
    rows = connection.execute(
        "SELECT step, content FROM run_line WHERE run_id = ? AND stream = 'history' AND step > ?"
        " ORDER BY step, number, writer",
        (run_id, after),
    )
    return [(row[0], row[1]) for row in rows]


def merge_rows(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Make one row of those that the writers of a shared run logged at one step.

    The SDK sends one row a step. Of one key the last value counts, of the SDK's own the first.
    """
    merged: dict[str, Any] = {}
    for row in rows:
        merged |= {k: row[k] for k in row if not (k.startswith("_") and k in merged)}
    return merged


def _count_hidden(connection: sqlite3.Connection, run_id: int) -> int:
    """Count the values of a run that `merge_rows` drops."""
    lines = connection.execute(
        "SELECT step, content FROM run_line WHERE run_id = ?1 AND stream = 'history' AND step IN ("
        " SELECT step FROM run_line WHERE run_id = ?1 AND stream = 'history'"
        " GROUP BY step HAVING count(*) > 1) ORDER BY step, number, writer",
        (run_id,),
    )
    hidden = 0
    for _, group in groupby(lines, key=itemgetter(0)):
        rows = [parse_object(content) for _, content in group]
        merged = merge_rows(rows)
        hidden += sum(
            not key.startswith("_") and json.dumps(row[key]) != json.dumps(merged[key])
            for row in rows
            for key in row
        )
    return hidden


def read_console(connection: sqlite3.Connection, run_id: int, skip: int) -> list[str]:
    """Read the texts of console lines but for the first `skip` ones, in order."""
    lines = read_lines(connection, run_id, OUTPUT)
    return [str(parse_line(line)["line"]) for line in lines[skip:]]


def plain_config(run: Run) -> dict[str, Any]:
    """Give a run's config without the SDK's own part."""
    config = json.loads(run.config)
    return {
        key: item["value"] if isinstance(item, dict) and "value" in item else item
        for key, item in config.items()
        if key != "_wandb"
    }


def _read_run(connection: sqlite3.Connection, run: Run) -> SourceRun:
    (last,) = connection.execute(
        "SELECT coalesce(max(step), -1) FROM run_line WHERE run_id = ? AND stream = 'history'",
        (run.id,),
    ).fetchone()
    row = connection.execute(
        "SELECT content FROM run_line WHERE run_id = ? AND stream = 'history'"
        " ORDER BY step, number, writer LIMIT 1",
        (run.id,),
    ).fetchone()
    first = parse_object(row[0]).get("_timestamp") if row else None
    lines = count_lines(connection, run.id, OUTPUT)
    hidden = _count_hidden(connection, run.id)
    return SourceRun(run, first, last, lines, list_files(connection, run.id), hidden)


def _read_versions(
    connection: sqlite3.Connection, project_id: int, run_names: dict[int, str]
) -> list[SourceVersion]:
    """List the committed versions in the order of their commits, which membership rows keep."""
    artifacts = fetch(
        connection,
        Artifact,
        "SELECT artifact.* FROM artifact JOIN collection ON collection.id = artifact.collection_id"
        " JOIN membership ON membership.artifact_id = artifact.id"
        " AND membership.collection_id = collection.id"
        " WHERE project_id = ? AND artifact.state = 'COMMITTED' ORDER BY membership.id",
        project_id,
    )
    return [_describe(connection, artifact, run_names) for artifact in artifacts]


def _describe(
    connection: sqlite3.Connection, artifact: Artifact, run_names: dict[int, str]
) -> SourceVersion:
    collection = get_collection(connection, artifact.collection_id)
    return SourceVersion(
        artifact=artifact,
        collection=collection,
        type=get_type(connection, collection.type_id).name,
        aliases=[item.alias for item in list_aliases(connection, artifact.id, collection.id)],
        tags=[tag.name for tag in list_artifact_tags(connection, artifact.id)],
        run=run_names.get(artifact.run_id or 0),
    )


def _read_links(connection: sqlite3.Connection, run: Run, own: set[int]) -> list[Link]:
    """List what a run used, and what it logged that an earlier run had logged already."""
    used_as = dict(
        connection.execute("SELECT artifact_id, used_as FROM run_input WHERE run_id = ?", (run.id,))
    )
    used = [
        _link(connection, run, item, own, used=True, used_as=used_as[item.id])
        for item in list_inputs(connection, run.id)
    ]
    logged = [
        _link(connection, run, item, own, used=False)
        for item in list_outputs(connection, run.id)
        if item.run_id != run.id
    ]
    return used + logged


def _link(
    connection: sqlite3.Connection,
    run: Run,
    artifact: Artifact,
    own: set[int],
    *,
    used: bool,
    used_as: str | None = None,
) -> Link:
    collection = get_collection(connection, artifact.collection_id)
    name = f"{collection.name}:v{artifact.version_index}"
    if artifact.id in own:
        return Link(run.name, artifact.id, name, used, used_as)
    project = get_project(connection, collection.project_id)
    kind = get_type(connection, collection.type_id).name
    foreign = ForeignVersion(project, collection.name, kind, artifact.digest)
    path = f"{project.entity}/{project.name}/{name}"
    return Link(run.name, artifact.id, path, used, used_as, foreign)
