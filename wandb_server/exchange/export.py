"""Writes a project as a folder."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wandb_server import clock
from wandb_server.artifact.manifests import read_manifest
from wandb_server.blobs import BlobStore, hex_digest
from wandb_server.exchange.tables import FORMAT, INDEX, Add, cell, writing
from wandb_server.lines import HISTORY, parse_object
from wandb_server.publish.source import Source, SourceRun, SourceVersion, read_source
from wandb_server.server_error import ServerError
from wandb_server.upkeep.store import Store
from wandb_server.version import VERSION

_LINES_AT_ONCE = 10_000


def export_project(store: Store, path: str, folder: Path) -> dict[str, Any]:
    """Write a project into a new folder, at one moment.

    Args:
        store: The data folder.
        path: `name`, or `entity/name`.
        folder: Made by this; it may exist if it is empty.

    Returns:
        The index.

    Raises:
        ServerError: There is no such project, or the folder isn't empty or can't be written.
        StorageError: A file is missing or was altered on the disk.
    """
    try:
        return _export(store, path, folder)
    except OSError as error:
        place = error.filename or folder
        why = error.strerror or error
        raise ServerError(f"can't write the export {folder}: {why} ({place})") from error


def _export(store: Store, path: str, folder: Path) -> dict[str, Any]:
    with store.read():
        source = read_source(store.connection, path)
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ServerError(f"{folder} isn't empty: name a new folder")
        with writing(folder) as add:
            for run in source.runs:
                _export_run(store, run, folder, add)
            _export_collections(source, add)
            for version in source.versions:
                _export_version(store.blobs, source, version, folder, add)
            _export_lineage(source, add)
    index = {
        "format": FORMAT,
        "program": f"wandb_server {VERSION}",
        "entity": source.project.entity,
        "project": source.project.name,
        "description": source.project.description,
        "exported_at": clock.now(),
        "runs": len(source.runs),
        "versions": len(source.versions),
        "left_out": left_out(source),
    }
    (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n")
    return index


def _export_run(store: Store, run: SourceRun, folder: Path, add: Add) -> None:
    row = run.row
    name = {"run": row.name}
    state = {"state": row.current_state(), "tags": json.loads(row.tags)}
    add("runs", [asdict(row) | state])
    add("config", [name | {"key": k} | cell(v) for k, v in parse_object(row.config).items()])
    summary = parse_object(row.summary_metrics)
    add("summary", [name | {"key": k} | cell(v) for k, v in summary.items()])
    for lines in _batches(store, row.id):
        history = [line for line in lines if line["stream"] == HISTORY]
        add("history", [name | cells for line in history for cells in _spread(line)])
        add("lines", [name | line for line in lines if line["stream"] != HISTORY])
    add("files", [name | asdict(file) for file in run.files])
    for file in run.files:
        _copy(store.blobs, file.digest, folder / "files" / row.name / file.name)


def _batches(store: Store, run_id: int) -> Iterator[list[dict[str, Any]]]:
    """Go through all lines of a run, by stream and number, some at a time."""
    rows = store.connection.execute(
        "SELECT stream, writer, number AS line, step, content FROM run_line WHERE run_id = ?"
        " ORDER BY stream, number, writer",
        (run_id,),
    )
    while batch := rows.fetchmany(_LINES_AT_ONCE):
        yield [dict(row) for row in batch]


def _spread(line: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give a row of the table for each value in a line of history."""
    place = {key: line[key] for key in ("writer", "line", "step")}
    for key, value in parse_object(line["content"]).items():
        yield place | {"key": key} | cell(value)


def _export_collections(source: Source, add: Add) -> None:
    firsts = {version.collection.id: version for version in source.versions}
    add(
        "collections",
        [
            asdict(version.collection)
            | {"type": version.type, "tags": source.collection_tags[version.collection.id]}
            for version in firsts.values()
        ],
    )


def _export_version(
    blobs: BlobStore, source: Source, version: SourceVersion, folder: Path, add: Add
) -> None:
    row = version.artifact
    manifest = read_manifest(blobs, row.manifest_digest or "")
    own = {
        "row": row.id,
        "collection": version.collection.name,
        "version": row.version_index,
        "run": version.run,
        "aliases": version.aliases,
        "tags": version.tags,
        "manifest": json.dumps(manifest),
        "clients": [client for client, id_ in source.clients.items() if id_ == row.id],
    }
    add("versions", [asdict(row) | own])
    place = folder / "artifacts" / version.collection.name / f"v{row.version_index}"
    for name, entry in manifest["contents"].items():
        if not entry.get("ref"):
            _copy(blobs, hex_digest(entry["digest"]), place / name)


def left_out(source: Source) -> list[str]:
    """List the uses of versions of other projects, which an export can't hold."""
    return [f"{link.run} used {link.name}" for link in source.links if link.foreign]


def _export_lineage(source: Source, add: Add) -> None:
    rows = [
        {"run": link.run, "row": link.artifact_id, "used": link.used, "used_as": link.used_as}
        for link in source.links
        if link.foreign is None
    ]
    add("lineage", rows)


def _copy(blobs: BlobStore, digest: str, target: Path) -> None:
    blobs.check(digest)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(blobs.path(digest), target)
