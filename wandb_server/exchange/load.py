"""Makes a project from an exported folder: files first, then all records at once or none."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from wandb_server import ids
from wandb_server.artifact.aliases import add_tags, set_aliases
from wandb_server.artifact.commit import store_entries
from wandb_server.artifact.create import ensure_collection
from wandb_server.artifact.lineage import record_input, record_output
from wandb_server.artifact.manifests import FULL, add_manifest, parse_entries
from wandb_server.blobs import BlobStore, base64_digest
from wandb_server.exchange.tables import read_index, read_rows
from wandb_server.history import extend_keys
from wandb_server.lines import HISTORY, store_lines
from wandb_server.names import check_artifact_name, check_file_path, check_label
from wandb_server.projects import ensure_project, find_project, set_description
from wandb_server.publish.references import Translator
from wandb_server.run_files import put_file
from wandb_server.runs import create_run
from wandb_server.server_error import ServerError
from wandb_server.upkeep.store import Store

_PIECE = 1 << 20
# Without the sweep: that stays where it was.
_RUN_COLUMNS = [
    "display_name",
    "state",
    "group_name",
    "job_type",
    "notes",
    "description",
    "host",
    "program",
    "commit_hash",
    "repo",
    "exitcode",
    "created_at",
    "updated_at",
    "heartbeat_at",
]
_VERSION_COLUMNS = [
    "collection_id",
    "run_id",
    "state",
    "version_index",
    "digest",
    "digest_algorithm",
    "description",
    "metadata",
    "ttl_seconds",
    "history_step",
    "size",
    "file_count",
    "commit_hash",
    "manifest_digest",
    "created_at",
    "updated_at",
]


def import_project(store: Store, folder: Path, name: str | None) -> dict[str, Any]:
    """Make a project from an export.

    Args:
        store: The data folder.
        folder: The export.
        name: Of the new project; None takes the one that it had.

    Returns:
        The export's index, with the project's name here.

    Raises:
        ServerError: The folder is no whole export, or there is such a project.
        ClientError: A name, or a file's content, isn't what it must be; nothing was made.
    """
    index = read_index(folder)
    index["project"] = name or index["project"]
    entity, project = index["entity"], index["project"]
    _store_files(store.blobs, folder)
    with store.write():
        connection = store.connection
        if find_project(connection, entity, project) is not None:
            raise ServerError(
                f"the project {entity}/{project} is here already: give --project another name"
            )
        project_id = ensure_project(connection, entity, project).id
        set_description(connection, project_id, index["description"])
        runs = _import_runs(connection, project_id, folder)
        _import_collections(connection, project_id, folder)
        translate = _import_versions(store, project_id, folder, runs)
        _import_lines(connection, folder, runs, translate)
        _import_values(connection, folder, runs, translate)
    return index


def _store_files(blobs: BlobStore, folder: Path) -> None:
    """Store all files; what an import that fails has stored is collected as unused later."""
    for row in read_rows(folder, "files"):
        run, name = check_label("run", row["run"]), check_file_path("run file", row["name"])
        asyncio.run(_receive(blobs, folder / "files" / run / name, row["digest"]))
    for row in read_rows(folder, "versions"):
        collection = check_artifact_name(row["collection"])
        place = folder / "artifacts" / collection / f"v{row['version']}"
        for entry in parse_entries(json.loads(row["manifest"])):
            if entry.digest is not None:
                asyncio.run(_receive(blobs, place / entry.name, entry.digest))


async def _receive(blobs: BlobStore, path: Path, digest: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece

    try:
        await blobs.receive(pieces(), digest)
    except OSError as error:
        raise ServerError(f"{path}: {error}") from error


def _import_runs(connection: sqlite3.Connection, project_id: int, folder: Path) -> dict[str, int]:
    """Make the runs without what they logged; gives their rows by their ids."""
    rows = {}
    columns = ", ".join(f"{column} = :{column}" for column in (*_RUN_COLUMNS, "tags"))
    for row in read_rows(folder, "runs"):
        run = create_run(connection, project_id, row["name"], row["state"])
        connection.execute(
            f"UPDATE run SET {columns} WHERE id = :id",  # noqa: S608  our own column names
            {**row, "id": run.id, "tags": json.dumps(row["tags"])},
        )
        rows[run.name] = run.id
    for row in read_rows(folder, "files"):
        put_file(connection, rows[row["run"]], row["name"], row["digest"], row["size"])
    return rows


def _import_collections(connection: sqlite3.Connection, project_id: int, folder: Path) -> None:
    for row in read_rows(folder, "collections"):
        made = ensure_collection(connection, project_id, row["type"], row["name"], "SEQUENCE")
        connection.execute(
            "UPDATE collection SET description = :description, next_version = :next_version,"
            " created_at = :created_at, updated_at = :updated_at WHERE id = :id",
            {**row, "id": made.id},
        )
        add_tags(connection, "collection", made.id, row["tags"])


def _import_versions(
    store: Store, project_id: int, folder: Path, runs: dict[str, int]
) -> Translator:
    """Make the versions with their lineage; gives what rewrites references to them."""
    connection = store.connection
    types = {row["name"]: row["type"] for row in read_rows(folder, "collections")}
    rows = list(read_rows(folder, "versions"))
    translate = Translator({client: row["row"] for row in rows for client in row["clients"]})
    made = {}
    for row in rows:
        kind, name = types[row["collection"]], row["collection"]
        collection = ensure_collection(connection, project_id, kind, name, "SEQUENCE")
        run_id = runs.get(row["run"])
        made[row["row"]] = _make_version(store, row, collection.id, run_id, translate)
        translate.known[row["row"]] = ids.encode("Artifact", made[row["row"]])
    for row in read_rows(folder, "lineage"):
        run_id, version_id = runs[row["run"]], made[row["row"]]
        if row["used"]:
            record_input(connection, run_id, version_id, row["used_as"])
        else:
            record_output(connection, run_id, version_id)
    return translate


def _make_version(
    store: Store,
    row: dict[str, Any],
    collection_id: int,
    run_id: int | None,
    translate: Translator,
) -> int:
    """Make a committed version under the number that it had; gives its row."""
    connection = store.connection
    named = ", ".join(f":{column}" for column in _VERSION_COLUMNS)
    empty = {"collection_id": collection_id, "run_id": run_id, "manifest_digest": ""}
    cursor = connection.execute(
        f"INSERT INTO artifact ({', '.join(_VERSION_COLUMNS)}) VALUES ({named})",  # noqa: S608  ours
        {**row, **empty, "version_index": row["version"], "state": "COMMITTED"},
    )
    version_id = int(cursor.lastrowid or 0)
    connection.execute(
        "INSERT INTO membership (collection_id, artifact_id, version_index, created_at)"
        " VALUES (?, ?, ?, ?)",
        (collection_id, version_id, row["version"], row["updated_at"]),
    )
    _store_manifest(store, row, version_id, translate)
    set_aliases(connection, collection_id, version_id, row["aliases"])
    add_tags(connection, "artifact", version_id, row["tags"])
    if run_id is not None:
        record_output(connection, run_id, version_id)
    return version_id


def _store_manifest(
    store: Store, row: dict[str, Any], version_id: int, translate: Translator
) -> None:
    """Store a version's manifest, with references that hold here, and its entries."""
    if translate.is_unknown(row["manifest"]):
        raise ServerError(
            f"{row['collection']}:v{row['version']} refers to a version that isn't in the export"
        )
    manifest = json.loads(translate(row["manifest"]))
    for entry in manifest["contents"].values():
        entry["birthArtifactID"] = ids.encode("Artifact", version_id)
    digest = store.blobs.write(json.dumps(manifest).encode())
    store.connection.execute(
        "UPDATE artifact SET manifest_digest = ? WHERE id = ?", (digest, version_id)
    )
    add_manifest(
        store.connection, version_id, FULL, "wandb_manifest.json", base64_digest(digest), None
    )
    store_entries(store.connection, version_id, parse_entries(manifest))


def _import_lines(
    connection: sqlite3.Connection, folder: Path, runs: dict[str, int], translate: Translator
) -> None:
    """Store history, console lines and system metrics under the numbers that they had."""
    for row in read_rows(folder, "lines"):
        store_lines(
            connection,
            runs[row["run"]],
            row["stream"],
            row["line"],
            [row["content"]],
            row["writer"],
        )
    for name, cells in groupby(read_rows(folder, "history"), itemgetter("run")):
        keys = "{}"
        for (writer, line), values in groupby(cells, itemgetter("writer", "line")):
            content = translate(_object(values))
            store_lines(connection, runs[name], HISTORY, line, [content], writer)
            keys = extend_keys(keys, [content], line)
        connection.execute("UPDATE run SET history_keys = ? WHERE id = ?", (keys, runs[name]))


def _import_values(
    connection: sqlite3.Connection, folder: Path, runs: dict[str, int], translate: Translator
) -> None:
    for table, column in (("config", "config"), ("summary", "summary_metrics")):
        for name, cells in groupby(read_rows(folder, table), itemgetter("run")):
            connection.execute(
                f"UPDATE run SET {column} = ? WHERE id = ?",  # noqa: S608  our own column names
                (translate(_object(cells)), runs[name]),
            )


def _object(cells: Iterator[dict[str, Any]]) -> str:
    """Put a JSON object together from the cells that hold its values."""
    return json.dumps({cell["key"]: json.loads(cell["json"]) for cell in cells})
