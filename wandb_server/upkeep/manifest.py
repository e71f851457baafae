"""A manifest that was lost, written anew from the records of the version's files."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from wandb_server.artifact.lookups import list_artifact_files
from wandb_server.artifact.records import ArtifactFile
from wandb_server.blobs import base64_digest
from wandb_server.upkeep.store import Store


def rebuild_manifest(store: Store, artifact_id: int) -> bool:
    """Write the manifest of a committed version anew.

    What the SDK needs to read a version is in the database, but for references: what their
    target's state was is only in the manifest itself.

    Args:
        store: The opened data folder.
        artifact_id: Row of the version.

    Returns:
        Whether that was possible; nothing is changed if it wasn't.

    Raises:
        OSError: It can't be written.
        sqlite3.Error: The database can't be changed.
    """
    files = list_artifact_files(store.connection, artifact_id)
    if any(file.digest is None for file in files) or not _is_complete(
        store.connection, artifact_id, files
    ):
        return False
    digest = store.blobs.write(json.dumps(_manifest(files)).encode())
    with store.write():
        store.connection.execute(
            "UPDATE artifact SET manifest_digest = ? WHERE id = ?", (digest, artifact_id)
        )
    return True


def _is_complete(
    connection: sqlite3.Connection, artifact_id: int, files: Sequence[ArtifactFile]
) -> bool:
    row = connection.execute(
        "SELECT file_count FROM artifact WHERE id = ?", (artifact_id,)
    ).fetchone()
    return bool(row["file_count"] == len(files))


def _manifest(files: Sequence[ArtifactFile]) -> dict[str, Any]:
    contents = {
        file.name: {"digest": base64_digest(file.digest), "size": file.size}
        for file in files
        if file.digest
    }
    return {
        "version": 1,
        "storagePolicy": "wandb-storage-policy-v1",
        "storagePolicyConfig": {"storageLayout": "V2"},
        "contents": contents,
    }
