"""References of the SDK to a file of another version on this server."""

import sqlite3
from base64 import b64encode
from urllib.parse import unquote, urlsplit

from wandb_server import ids
from wandb_server.artifact.records import ArtifactFile
from wandb_server.database import fetch_one
from wandb_server.errors import ClientError

BY_ID, BY_CLIENT = "wandb-artifact", "wandb-client-artifact"  # schemes of the SDK
_MOST_HOPS = 5  # of a reference to a reference


def find_target(connection: sqlite3.Connection, reference: str) -> int | None:
    """Find the row of the version that a reference points into, if it is one here."""
    try:
        parts = urlsplit(reference)
        if parts.scheme == BY_CLIENT:
            row = connection.execute(
                "SELECT artifact_id FROM artifact_client WHERE client_id = ?", (parts.netloc,)
            ).fetchone()
            return row[0] if row else None
        return ids.decode("Artifact", b64encode(bytes.fromhex(parts.netloc)).decode())
    except (ValueError, ClientError):
        return None  # of another server, so it keeps nothing here


def find_file(connection: sqlite3.Connection, artifact_id: int, name: str) -> ArtifactFile | None:
    """Find a file of a version, or the one that it refers to, if that is kept here.

    Args:
        connection: Open for reading.
        artifact_id: Row of the version.
        name: The file's name in it.

    Returns:
        A file that has a digest, maybe of another version; None where there is none.
    """
    for _ in range(_MOST_HOPS):
        found = fetch_one(
            connection,
            ArtifactFile,
            "SELECT artifact_file.* FROM artifact_file JOIN artifact ON artifact.id = artifact_id"
            " WHERE artifact_id = ? AND name = ? AND state = 'COMMITTED'",
            artifact_id,
            name,
        )
        if found is None or found.digest is not None:
            return found
        place = locate(connection, found.ref or "")
        if place is None:
            return None
        artifact_id, name = place
    return None


def locate(connection: sqlite3.Connection, reference: str) -> tuple[int, str] | None:
    """Take a reference apart: the row of the version, and the file's name in it.

    Returns:
        None for what isn't a reference to a version of this server.
    """
    if not reference.startswith((f"{BY_ID}://", f"{BY_CLIENT}://")):
        return None
    target = find_target(connection, reference)
    return None if target is None else (target, unquote(urlsplit(reference).path.lstrip("/")))
