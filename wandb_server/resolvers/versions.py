"""Versions as clients read them: files, aliases, lineage, places in collections."""

from typing import Any

from graphql import GraphQLResolveInfo

from wandb_server import ids
from wandb_server.artifact.lineage import list_users
from wandb_server.artifact.lookups import (
    find_artifact,
    find_membership,
    get_artifact,
    get_collection,
    get_type,
    list_aliases,
    list_artifact_files,
    list_artifact_tags,
    list_memberships,
)
from wandb_server.artifact.records import (
    Artifact,
    ArtifactFile,
    ArtifactType,
    Membership,
)
from wandb_server.blobs import base64_digest, hex_digest
from wandb_server.errors import ClientError
from wandb_server.projects import Project
from wandb_server.resolvers.context import Resolver, Resolvers, context
from wandb_server.resolvers.files import artifact_file_node, blob_node
from wandb_server.resolvers.identity import user_of
from wandb_server.resolvers.paging import connect
from wandb_server.resolvers.runs import run_connection
from wandb_server.runs import get_run

# What the SDK reads as "never deleted".
_NO_TTL = -2


def _artifact(_root: object, info: GraphQLResolveInfo, id: str) -> Artifact | None:  # noqa: A002
    found = find_artifact(context(info).connection, ids.decode("Artifact", id))
    return found if found is not None and found.state == "COMMITTED" else None


def _client_id(
    _root: object,
    info: GraphQLResolveInfo,
    clientID: str,  # noqa: N803  GraphQL's name
) -> dict[str, str] | None:
    row = (
        context(info)
        .connection.execute(
            "SELECT artifact_id FROM artifact_client WHERE client_id = ?", (clientID,)
        )
        .fetchone()
    )
    return row and {"serverID": ids.encode("Artifact", row[0])}


def _membership(project: Project, info: GraphQLResolveInfo, name: str) -> Membership | None:
    return find_membership(context(info).connection, project.id, name)


def _project_artifact(project: Project, info: GraphQLResolveInfo, name: str) -> Artifact | None:
    found = find_membership(context(info).connection, project.id, name)
    return None if found is None else get_artifact(context(info).connection, found.artifact_id)


def _files(
    source: Artifact | Membership,
    info: GraphQLResolveInfo,
    names: list[str] | None = None,
    first: int | None = None,
    after: str | None = None,
) -> dict[str, Any]:
    scope = context(info)
    artifact_id = source.artifact_id if isinstance(source, Membership) else source.id
    updated_at = get_artifact(scope.connection, artifact_id).updated_at
    files = list_artifact_files(scope.connection, artifact_id)
    wanted = [file for file in files if not names or file.name in names]

    def load(file: ArtifactFile) -> dict[str, Any]:
        return artifact_file_node(scope, file, updated_at)

    return connect(wanted, row_id, first, after, load)


def _files_by_entries(
    artifact: Artifact,
    info: GraphQLResolveInfo,
    entries: list[dict[str, Any]] | None = None,
    **_ignored: object,
) -> dict[str, Any]:
    """Give addresses for entries of this version's manifest, and for no others."""
    scope = context(info)
    own = {(file.name, file.digest) for file in list_artifact_files(scope.connection, artifact.id)}
    wanted = [(entry["name"], hex_digest(entry["digest"])) for entry in entries or []]
    for name, digest in wanted:
        if (name, digest) not in own:
            raise ClientError(f"artifact {artifact.id} has no file {name!r} with this digest")
    nodes = [blob_node(scope, name, digest) for name, digest in wanted]
    return connect(nodes, lambda node: node["name"])


def _manifest(artifact: Artifact, info: GraphQLResolveInfo) -> dict[str, Any] | None:
    digest = artifact.manifest_digest
    if digest is None:
        return None
    file = blob_node(context(info), "wandb_manifest.json", digest)
    return {
        "id": ids.encode("CommittedManifest", artifact.id),
        "digest": base64_digest(digest),
        "file": file,
    }


def _memberships(artifact: Artifact, info: GraphQLResolveInfo) -> dict[str, Any]:
    return connect(list_memberships(context(info).connection, artifact.id), row_id)


def _created_by(artifact: Artifact, info: GraphQLResolveInfo) -> object:
    if artifact.run_id is None:
        return user_of(info)
    return get_run(context(info).connection, artifact.run_id)


def _artifact_type(artifact: Artifact, info: GraphQLResolveInfo) -> ArtifactType:
    connection = context(info).connection
    return get_type(connection, get_collection(connection, artifact.collection_id).type_id)


def row_id(record: Any) -> int:
    """Give what a record is recognised by in a list."""
    return int(record.id)


_ARTIFACT: dict[str, Resolver] = {
    "id": lambda artifact, _info: ids.encode("Artifact", artifact.id),
    "artifactSequence": lambda artifact, info: get_collection(
        context(info).connection, artifact.collection_id
    ),
    "artifactType": _artifact_type,
    "ttlDurationSeconds": lambda artifact, _info: (
        _NO_TTL if artifact.ttl_seconds is None else artifact.ttl_seconds
    ),
    "ttlIsInherited": lambda artifact, _info: artifact.ttl_seconds is None,
    "tags": lambda artifact, info: list_artifact_tags(context(info).connection, artifact.id),
    "aliases": lambda artifact, info: list_aliases(context(info).connection, artifact.id),
    "artifactMemberships": _memberships,
    "currentManifest": _manifest,
    "createdBy": _created_by,
    "usedBy": lambda artifact, info: run_connection(
        list_users(context(info).connection, artifact.id)
    ),
    "files": _files,
    "filesByManifestEntries": _files_by_entries,
}

RESOLVERS: Resolvers = {
    "Query": {"artifact": _artifact, "clientIDMapping": _client_id},
    "Project": {"artifact": _project_artifact, "artifactCollectionMembership": _membership},
    "ArtifactCollectionMembership": {
        "id": lambda member, _info: ids.encode("ArtifactCollectionMembership", member.id),
        "aliases": lambda member, info: list_aliases(
            context(info).connection, member.artifact_id, member.collection_id
        ),
        "artifactCollection": lambda member, info: get_collection(
            context(info).connection, member.collection_id
        ),
        "artifact": lambda member, info: get_artifact(context(info).connection, member.artifact_id),
        "files": _files,
    },
    "ArtifactAlias": {
        "id": lambda alias, _info: ids.encode("ArtifactAlias", alias.id),
        "artifactCollection": lambda alias, info: get_collection(
            context(info).connection, alias.collection_id
        ),
    },
    "Artifact": _ARTIFACT,
}
