"""Files of runs: a name in a run, and the blob that holds the content."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from wandb_server import clock
from wandb_server.database import fetch


@dataclass(frozen=True)
class RunFile:
    """A row of the table `run_file`; size in bytes, digest as hex MD5."""

    id: int
    run_id: int
    name: str
    digest: str
    size: int
    updated_at: str


def put_file(
    connection: sqlite3.Connection, run_id: int, name: str, digest: str, size: int
) -> None:
    """Record that a run's file now has this content."""
    connection.execute(
        "INSERT INTO run_file (run_id, name, digest, size, updated_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (run_id, name) DO UPDATE SET digest = excluded.digest,"
        " size = excluded.size, updated_at = excluded.updated_at",
        (run_id, name, digest, size, clock.now()),
    )


def list_files(
    connection: sqlite3.Connection, run_id: int, pattern: str | None = None
) -> list[RunFile]:
    """List a run's files by name.

    Args:
        connection: Open for reading.
        run_id: Row of the run.
        pattern: Only names that match this pattern of SQL's LIKE.
    """
    return fetch(
        connection,
        RunFile,
        "SELECT * FROM run_file WHERE run_id = ? AND name LIKE ? ORDER BY name",
        run_id,
        pattern or "%",
    )


def look_up_files(
    connection: sqlite3.Connection, run_id: int, names: Sequence[str]
) -> dict[str, RunFile | None]:
    """Look for files of a run.

    Args:
        connection: Open for reading.
        run_id: Row of the run.
        names: What is looked for; `./a` is `a`.

    Returns:
        By name, in the order of the names, the file, or None if the run has no such file.
    """
    kept = {file.name: file for file in list_files(connection, run_id)}
    return {name: kept.get(name) for name in (str(PurePosixPath(name)) for name in names)}


def delete_files(connection: sqlite3.Connection, file_ids: Sequence[int]) -> None:
    """Delete files by their rows; the blobs stay until they are collected."""
    connection.executemany("DELETE FROM run_file WHERE id = ?", [(id_,) for id_ in file_ids])
