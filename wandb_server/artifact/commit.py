"""The second half of logging a version: it becomes visible, whole or not at all."""

import json
import secrets
import sqlite3
from collections.abc import Iterable

from wandb_server import clock
from wandb_server.artifact.aliases import set_aliases, touch_collection
from wandb_server.artifact.lookups import (
    get_artifact,
)
from wandb_server.artifact.manifests import Entry
from wandb_server.artifact.mend import mend
from wandb_server.artifact.merge import Assembly, assemble
from wandb_server.artifact.records import (
    LATEST,
    Artifact,
)
from wandb_server.blobs import BlobStore
from wandb_server.database import fetch_count
from wandb_server.errors import ClientError, NotFoundError


def commit_artifact(connection: sqlite3.Connection, blobs: BlobStore, artifact_id: int) -> Artifact:
    """Give a pending version its number and aliases, once all of its files are there.

    Args:
        connection: Inside a write transaction, so that numbers have no gaps and no doubles.
        blobs: Where the uploaded files are.
        artifact_id: Row of the version; one that is committed already stays as it is, or
            takes the files that it had lost.

    Raises:
        ClientError: The manifest or a file is missing, or a file has another size.
        NotFoundError: The version doesn't exist or was deleted.
    """
    artifact = get_artifact(connection, artifact_id)
    if artifact.state == "COMMITTED":
        return mend(connection, blobs, artifact)
    if artifact.state == "DELETED":
        raise NotFoundError(f"artifact {artifact_id} was deleted")
    parts = assemble(connection, blobs, artifact)
    _check_present(blobs, parts.entries)
    digests = [entry.digest for entry in parts.entries if entry.digest is not None]
    blobs.settle([parts.manifest_digest, *digests])
    store_entries(connection, artifact_id, parts.entries)
    _publish(connection, artifact, parts)
    return get_artifact(connection, artifact_id)


def add_member(connection: sqlite3.Connection, collection_id: int, artifact_id: int) -> int:
    """Add a version to a collection under the next free number, which is returned."""
    version = fetch_count(
        connection, "SELECT next_version FROM collection WHERE id = ?", collection_id
    )
    connection.execute(
        "UPDATE collection SET next_version = ? WHERE id = ?", (version + 1, collection_id)
    )
    connection.execute(
        "INSERT INTO membership (collection_id, artifact_id, version_index, created_at)"
        " VALUES (?, ?, ?, ?)",
        (collection_id, artifact_id, version, clock.now()),
    )
    touch_collection(connection, collection_id)
    return version


def _check_present(blobs: BlobStore, entries: Iterable[Entry]) -> None:
    for entry in entries:
        if entry.digest is None:
            continue
        size = blobs.size(entry.digest)
        if size is None:
            raise ClientError(f"the file {entry.name!r} wasn't uploaded: log the artifact again")
        if size != entry.size:
            raise ClientError(
                f"the file {entry.name!r} has {size} bytes, the manifest says {entry.size}"
            )
        if not blobs.holds(entry.digest):
            raise ClientError(f"the file {entry.name!r} was damaged: log the artifact again")


def store_entries(
    connection: sqlite3.Connection, artifact_id: int, entries: Iterable[Entry]
) -> None:
    """Record the files of a version."""
    connection.executemany(
        "INSERT INTO artifact_file (artifact_id, name, digest, size, ref) VALUES (?, ?, ?, ?, ?)",
        [(artifact_id, entry.name, entry.digest, entry.size, entry.ref) for entry in entries],
    )


def _publish(connection: sqlite3.Connection, artifact: Artifact, parts: Assembly) -> None:
    version = add_member(connection, artifact.collection_id, artifact.id)
    connection.execute(
        "UPDATE artifact SET state = 'COMMITTED', version_index = ?, digest = ?, size = ?,"
        " file_count = ?, commit_hash = ?, manifest_digest = ?, updated_at = ? WHERE id = ?",
        (
            version,
            parts.digest,
            sum(entry.size for entry in parts.entries),
            len(parts.entries),
            secrets.token_hex(10),
            parts.manifest_digest,
            clock.now(),
            artifact.id,
        ),
    )
    aliases = [LATEST, *json.loads(artifact.pending_aliases)]
    set_aliases(connection, artifact.collection_id, artifact.id, aliases)
