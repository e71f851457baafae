"""Data in a folder for the tests of housekeeping: versions and run files, and old dates."""

import base64
import os
import time
from pathlib import Path
from typing import Any

from tests.server import client
from tests.server.conftest import Core
from wandb_server import clock, ids
from wandb_server.run_files import put_file

UPSERT = """mutation ($p: String!, $r: String!) {
    upsertBucket(input: {modelName: $p, name: $r}) { bucket { id } } }"""
DAY = 86400.0


def log_version(
    core: Core, project: str, files: dict[str, bytes], *, run: str | None = None, **fields: Any
) -> int:
    """Log a version of `table`, or of the collection that `fields` name; give its number."""
    if run:
        core.data(UPSERT, p=project, r=run)
        fields["runName"] = run
    artifact_id = client.create(core.data, project, files, **fields)["id"]
    upload(core, artifact_id, files)
    return client.commit(core.data, artifact_id)


def upload(core: Core, artifact_id: str, files: dict[str, bytes]) -> None:
    """Upload what a client would, all but the commit."""
    for url, content in zip(
        client.ask_uploads(core.data, artifact_id, files), files.values(), strict=True
    ):
        if url is not None:
            core.blobs.write(content)
    client.announce(core.data, artifact_id, client.manifest(files))
    core.blobs.write(client.manifest(files))


def log_run_file(core: Core, project: str, run: str, name: str, content: bytes) -> None:
    """Store a file of a run, which is made if need be."""
    core.data(UPSERT, p=project, r=run)
    digest = core.blobs.write(content)
    with core.database.write() as connection:
        row = connection.execute("SELECT id FROM run WHERE name = ?", (run,)).fetchone()
        put_file(connection, row["id"], name, digest, len(content))


def age(core: Core, days: float = 2) -> None:
    """Make all that is there look as old as that."""
    moment = time.time() - days * DAY
    for path in blob_files(core):
        os.utime(path, (moment, moment))
    with core.database.write() as connection:
        then = clock.ago(days * DAY)
        connection.execute("UPDATE artifact SET created_at = ?, updated_at = ?", (then, then))


def blob_files(core: Core) -> list[Path]:
    """List the stored files."""
    folder = core.folder / "blobs"
    return sorted(path for path in folder.glob("??/*") if path.is_file())


def blob_path(core: Core, content: bytes) -> Path:
    """Give the place where some content is stored."""
    return core.blobs.path(client.hex_md5(content))


def version_row(core: Core, number: int) -> int:
    """The row of the version that was made as the n-th of all."""
    with core.database.read() as connection:
        rows = connection.execute("SELECT id FROM artifact ORDER BY id").fetchall()
    return int(rows[number - 1]["id"])


def version_id(core: Core, number: int) -> str:
    """The client's id of that version."""
    return ids.encode("Artifact", version_row(core, number))


def refer(core: Core, source: int, to: int) -> None:
    """Let the n-th version of all refer to a file of another one."""
    address = base64.b64decode(version_id(core, to)).hex()
    row = version_row(core, source)
    with core.database.write() as connection:
        connection.execute(
            "INSERT INTO artifact_file (artifact_id, name, size, ref) VALUES (?, 'r', 0, ?)",
            (row, f"wandb-artifact://{address}/a"),
        )
        connection.execute("UPDATE artifact SET file_count = 2 WHERE id = ?", (row,))
