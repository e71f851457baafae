"""How artifact types, collections, versions and what they carry are found."""

import re
import sqlite3

from wandb_server.artifact.records import (
    LATEST,
    Alias,
    Artifact,
    ArtifactFile,
    ArtifactType,
    Collection,
    Membership,
    Tag,
)
from wandb_server.database import fetch, fetch_one
from wandb_server.errors import ClientError, NotFoundError
from wandb_server.names import is_version


def find_type(connection: sqlite3.Connection, project_id: int, name: str) -> ArtifactType | None:
    """Look up an artifact type of a project."""
    return fetch_one(
        connection,
        ArtifactType,
        "SELECT * FROM artifact_type WHERE project_id = ? AND name = ?",
        project_id,
        name,
    )


def get_type(connection: sqlite3.Connection, type_id: int) -> ArtifactType:
    """Look up an artifact type by its row, which must exist."""
    (found,) = fetch(connection, ArtifactType, "SELECT * FROM artifact_type WHERE id = ?", type_id)
    return found


def list_types(connection: sqlite3.Connection, project_id: int) -> list[ArtifactType]:
    """List the artifact types of a project by name."""
    return fetch(
        connection,
        ArtifactType,
        "SELECT * FROM artifact_type WHERE project_id = ? ORDER BY name",
        project_id,
    )


def find_collection(
    connection: sqlite3.Connection, project_id: int, name: str
) -> Collection | None:
    """Look up a collection of a project by name."""
    return fetch_one(
        connection,
        Collection,
        "SELECT * FROM collection WHERE project_id = ? AND name = ?",
        project_id,
        name,
    )


def get_collection(connection: sqlite3.Connection, collection_id: int) -> Collection:
    """Look up a collection by its row.

    Raises:
        NotFoundError: It doesn't exist.
    """
    found = fetch_one(
        connection, Collection, "SELECT * FROM collection WHERE id = ?", collection_id
    )
    if found is None:
        raise NotFoundError(f"collection {collection_id} doesn't exist")
    return found


def list_collections(
    connection: sqlite3.Connection, project_id: int, type_id: int | None = None
) -> list[Collection]:
    """List a project's collections (of one type, or all) that hold a version, newest first."""
    return fetch(
        connection,
        Collection,
        "SELECT * FROM collection WHERE project_id = ? AND type_id = coalesce(?, type_id)"
        " AND EXISTS (SELECT 1 FROM membership WHERE collection_id = collection.id)"
        " ORDER BY id DESC",
        project_id,
        type_id,
    )


def find_artifact(connection: sqlite3.Connection, artifact_id: int) -> Artifact | None:
    """Look up a version by its row, whatever its state."""
    return fetch_one(connection, Artifact, "SELECT * FROM artifact WHERE id = ?", artifact_id)


def get_artifact(connection: sqlite3.Connection, artifact_id: int) -> Artifact:
    """Look up a version by its row, whatever its state.

    Raises:
        NotFoundError: It doesn't exist.
    """
    found = find_artifact(connection, artifact_id)
    if found is None:
        raise NotFoundError(f"artifact {artifact_id} doesn't exist")
    return found


def get_committed(connection: sqlite3.Connection, artifact_id: int) -> Artifact:
    """Look up a version that is there to be used.

    Raises:
        NotFoundError: It doesn't exist, was deleted, or isn't committed yet.
    """
    found = get_artifact(connection, artifact_id)
    if found.state != "COMMITTED":
        raise NotFoundError(f"artifact {artifact_id} is {found.state.lower()}")
    return found


def list_versions(connection: sqlite3.Connection, collection_id: int) -> list[Membership]:
    """List the versions of a collection, newest first."""
    return fetch(
        connection,
        Membership,
        "SELECT * FROM membership WHERE collection_id = ? ORDER BY version_index DESC",
        collection_id,
    )


def list_memberships(connection: sqlite3.Connection, artifact_id: int) -> list[Membership]:
    """List the collections that hold a version, its own one first."""
    return fetch(
        connection,
        Membership,
        "SELECT * FROM membership WHERE artifact_id = ? ORDER BY id",
        artifact_id,
    )


def find_membership(
    connection: sqlite3.Connection, project_id: int, name: str
) -> Membership | None:
    """Look up a version by `collection:alias`, `collection:v3` or `collection` (its latest).

    Raises:
        ClientError: The text has more than one colon.
    """
    collection_name, _, label = name.partition(":")
    if ":" in label:
        raise ClientError(f"artifact {name!r}: write it as name:version or name:alias")
    collection = find_collection(connection, project_id, collection_name)
    if collection is None:
        return None
    return find_member(connection, collection.id, label or LATEST)


def find_member(
    connection: sqlite3.Connection, collection_id: int, label: str
) -> Membership | None:
    """Look up a version of a collection by its alias or as `v3`."""
    if is_version(label) and re.fullmatch(r"v\d{1,18}", label):
        return fetch_one(
            connection,
            Membership,
            "SELECT * FROM membership WHERE collection_id = ? AND version_index = ?",
            collection_id,
            int(label[1:]),
        )
    return fetch_one(
        connection,
        Membership,
        "SELECT membership.* FROM membership JOIN alias USING (collection_id, artifact_id)"
        " WHERE collection_id = ? AND alias = ?",
        collection_id,
        label,
    )


def list_aliases(
    connection: sqlite3.Connection, artifact_id: int | None, collection_id: int | None = None
) -> list[Alias]:
    """List the aliases of a version, of a collection, or of a version in a collection."""
    return fetch(
        connection,
        Alias,
        "SELECT * FROM alias WHERE artifact_id = coalesce(?, artifact_id)"
        " AND collection_id = coalesce(?, collection_id) ORDER BY id",
        artifact_id,
        collection_id,
    )


def list_artifact_files(connection: sqlite3.Connection, artifact_id: int) -> list[ArtifactFile]:
    """List the files of a committed version by name."""
    return fetch(
        connection,
        ArtifactFile,
        "SELECT * FROM artifact_file WHERE artifact_id = ? ORDER BY name",
        artifact_id,
    )


def list_artifact_tags(connection: sqlite3.Connection, artifact_id: int) -> list[Tag]:
    """List the tags of a version in the order in which they were added."""
    return fetch(
        connection,
        Tag,
        "SELECT id, name FROM artifact_tag WHERE artifact_id = ? ORDER BY id",
        artifact_id,
    )


def list_collection_tags(connection: sqlite3.Connection, collection_id: int) -> list[Tag]:
    """List the tags of a collection in the order in which they were added."""
    return fetch(
        connection,
        Tag,
        "SELECT id, name FROM collection_tag WHERE collection_id = ? ORDER BY id",
        collection_id,
    )
