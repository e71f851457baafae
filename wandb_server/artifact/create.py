"""The first half of logging a version: a pending row, found again when asked twice."""

import json
import sqlite3
from dataclasses import dataclass, field

from wandb_server import clock
from wandb_server.artifact.aliases import add_tags, set_aliases
from wandb_server.artifact.lineage import record_output
from wandb_server.artifact.lookups import (
    find_collection,
    find_type,
    get_artifact,
    get_collection,
    get_type,
)
from wandb_server.artifact.records import (
    LATEST,
    Artifact,
    ArtifactType,
    Collection,
)
from wandb_server.database import fetch_one
from wandb_server.errors import ClientError
from wandb_server.names import check_alias, check_artifact_name, check_label
from wandb_server.runs import check_object


@dataclass(frozen=True)
class NewArtifact:
    """What a client says about the version that it is about to upload."""

    project_id: int
    run_id: int | None
    type_name: str
    collection_name: str
    digest: str
    digest_algorithm: str = "MANIFEST_MD5"
    aliases: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    description: str | None = None
    metadata: str | None = None
    ttl_seconds: int | None = None
    distributed_id: str | None = None
    history_step: int | None = None
    client_id: str | None = None
    deduplicate: bool = True


def create_artifact(connection: sqlite3.Connection, new: NewArtifact) -> Artifact:
    """Make a pending version, or find the one that this request is about.

    A repeated request (same client id) finds what the first one made. Equal content (same
    digest in the collection) finds the committed version, which takes over the aliases, or
    the pending one, so that two runs that log the same at once share one version.

    Raises:
        ClientError: A name isn't allowed, the collection holds another type, or the metadata
            isn't a JSON object.
    """
    for alias in new.aliases:
        check_alias(alias)
    if new.metadata is not None:
        check_object("metadata", new.metadata)
    collection = ensure_collection(
        connection, new.project_id, new.type_name, new.collection_name, "SEQUENCE"
    )
    repeated = _find_client(connection, new)
    if repeated is not None and repeated.state == "COMMITTED":
        return repeated  # its aliases may have moved on since
    found = repeated or _find_shared(connection, collection, new)
    artifact = _insert(connection, collection) if found is None else found
    _remember(connection, artifact, new)
    if artifact.state == "COMMITTED":
        set_aliases(connection, collection.id, artifact.id, [LATEST, *new.aliases])
    else:
        _describe(connection, artifact, new)
    return get_artifact(connection, artifact.id)


def ensure_collection(
    connection: sqlite3.Connection, project_id: int, type_name: str, name: str, kind: str
) -> Collection:
    """Look up a collection and make it, and its type, if they don't exist.

    Raises:
        ClientError: A name isn't allowed, or the name is taken by another type or kind.
    """
    found = find_collection(connection, project_id, name)
    if found is None:
        return _make_collection(connection, project_id, type_name, name, kind)
    known = get_type(connection, found.type_id)
    if known.name != type_name:
        raise ClientError(
            f"artifact {name!r} has the type {known.name!r}, not {type_name!r}: "
            "use that type, or another name"
        )
    if found.kind != kind:
        raise ClientError(f"artifact {name!r} is a {found.kind.lower()}, not a {kind.lower()}")
    return found


def ensure_type(connection: sqlite3.Connection, project_id: int, name: str) -> ArtifactType:
    """Look up an artifact type of a project and make it if it doesn't exist.

    Raises:
        ClientError: The name isn't allowed.
    """
    found = find_type(connection, project_id, name)
    if found is not None:
        return found
    cursor = connection.execute(
        "INSERT INTO artifact_type (project_id, name, created_at) VALUES (?, ?, ?)",
        (project_id, check_label("artifact type", name), clock.now()),
    )
    return get_type(connection, int(cursor.lastrowid or 0))


def _make_collection(
    connection: sqlite3.Connection, project_id: int, type_name: str, name: str, kind: str
) -> Collection:
    check_artifact_name(name)
    artifact_type = ensure_type(connection, project_id, type_name)
    now = clock.now()
    cursor = connection.execute(
        "INSERT INTO collection (project_id, type_id, kind, name, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (project_id, artifact_type.id, kind, name, now, now),
    )
    return get_collection(connection, int(cursor.lastrowid or 0))


def _find_client(connection: sqlite3.Connection, new: NewArtifact) -> Artifact | None:
    """Find the version that an earlier, perhaps unanswered, request of this client made."""
    return fetch_one(
        connection,
        Artifact,
        "SELECT artifact.* FROM artifact JOIN artifact_client ON artifact_id = artifact.id"
        " WHERE client_id = ? AND state != 'DELETED'",
        new.client_id,
    )


def _find_shared(
    connection: sqlite3.Connection, collection: Collection, new: NewArtifact
) -> Artifact | None:
    """Find a version of the same content, a committed one first."""
    if new.distributed_id:
        return fetch_one(
            connection,
            Artifact,
            "SELECT * FROM artifact WHERE collection_id = ? AND distributed_id = ?"
            " AND state = 'PENDING' ORDER BY id DESC LIMIT 1",
            collection.id,
            new.distributed_id,
        )
    if not new.deduplicate:
        return None
    return fetch_one(
        connection,
        Artifact,
        "SELECT * FROM artifact WHERE collection_id = ? AND digest = ? AND digest_algorithm = ?"
        " AND state IN ('COMMITTED', 'PENDING') AND distributed_id IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM manifest"
        "   WHERE artifact_id = artifact.id AND type = 'INCREMENTAL')"
        " ORDER BY state, version_index DESC, id LIMIT 1",
        collection.id,
        new.digest,
        new.digest_algorithm,
    )


def _insert(connection: sqlite3.Connection, collection: Collection) -> Artifact:
    now = clock.now()
    cursor = connection.execute(
        "INSERT INTO artifact (collection_id, state, digest, digest_algorithm, created_at,"
        " updated_at) VALUES (?, 'PENDING', '', '', ?, ?)",
        (collection.id, now, now),
    )
    return get_artifact(connection, int(cursor.lastrowid or 0))


def _remember(connection: sqlite3.Connection, artifact: Artifact, new: NewArtifact) -> None:
    """Tie the client's id and the run to the version."""
    if new.client_id:
        connection.execute(
            "INSERT OR REPLACE INTO artifact_client (client_id, artifact_id) VALUES (?, ?)",
            (new.client_id, artifact.id),
        )
    if new.run_id is not None:
        record_output(connection, new.run_id, artifact.id)


def _describe(connection: sqlite3.Connection, artifact: Artifact, new: NewArtifact) -> None:
    """Write down what the client says; the last one of those that share the version counts.

    So a step that was killed while it uploaded doesn't pass for the maker of what the next
    one completes.
    """
    aliases = dict.fromkeys([*json.loads(artifact.pending_aliases), *new.aliases])
    connection.execute(
        "UPDATE artifact SET run_id = ?, digest = ?, digest_algorithm = ?, description = ?,"
        " metadata = ?, ttl_seconds = ?, distributed_id = ?, history_step = ?,"
        " pending_aliases = ?, updated_at = ? WHERE id = ?",
        (
            new.run_id,
            new.digest,
            new.digest_algorithm,
            new.description,
            new.metadata,
            new.ttl_seconds,
            new.distributed_id,
            new.history_step,
            json.dumps(list(aliases)),
            clock.now(),
            artifact.id,
        ),
    )
    add_tags(connection, "artifact", artifact.id, new.tags)
