"""A committed version that lost files is made whole by whoever logs the same content again."""

import sqlite3

from wandb_server import clock
from wandb_server.artifact.lookups import get_artifact, list_artifact_files
from wandb_server.artifact.merge import assemble
from wandb_server.artifact.records import Artifact
from wandb_server.blobs import BlobStore
from wandb_server.errors import ClientError


def missing_files(
    connection: sqlite3.Connection, blobs: BlobStore, artifact: Artifact
) -> list[str]:
    """List the names of a committed version's files that aren't stored whole any more."""
    return [
        file.name
        for file in list_artifact_files(connection, artifact.id)
        if file.digest and not blobs.holds(file.digest)
    ]


def is_whole(connection: sqlite3.Connection, blobs: BlobStore, artifact: Artifact) -> bool:
    """Tell whether a committed version's manifest and files are all stored whole."""
    return not _lacks_manifest(blobs, artifact) and not missing_files(connection, blobs, artifact)


def mend(connection: sqlite3.Connection, blobs: BlobStore, artifact: Artifact) -> Artifact:
    """Take what was uploaded again for a committed version; one that is whole stays as it is.

    Args:
        connection: Inside a write transaction.
        blobs: Where the uploaded files are.
        artifact: A committed version.

    Raises:
        ClientError: A file or the manifest is still missing.
    """
    missing = missing_files(connection, blobs, artifact)
    if missing:
        raise ClientError(f"the file {missing[0]!r} wasn't uploaded: log the artifact again")
    if _lacks_manifest(blobs, artifact):
        # Equal content doesn't mean equal manifest files: those hold the clients' own paths.
        found = assemble(connection, blobs, artifact)
        connection.execute(
            "UPDATE artifact SET manifest_digest = ?, updated_at = ? WHERE id = ?",
            (found.manifest_digest, clock.now(), artifact.id),
        )
    blobs.settle(
        file.digest for file in list_artifact_files(connection, artifact.id) if file.digest
    )
    return get_artifact(connection, artifact.id)


def _lacks_manifest(blobs: BlobStore, artifact: Artifact) -> bool:
    return artifact.manifest_digest is None or not blobs.holds(artifact.manifest_digest)
