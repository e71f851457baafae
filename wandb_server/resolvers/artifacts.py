"""Artifacts as clients read them: versions, their files, collections, aliases, lineage."""

from typing import Any

from graphql import GraphQLResolveInfo

from wandb_server import ids
from wandb_server.artifact.lineage import list_users
from wandb_server.artifact.records import (
    LATEST,
    Artifact,
    ArtifactFile,
    ArtifactType,
    Collection,
    Membership,
    find_artifact,
    find_collection,
    find_member,
    find_membership,
    find_type,
    get_artifact,
    get_collection,
    get_type,
    list_aliases,
    list_artifact_files,
    list_artifact_tags,
    list_collection_tags,
    list_collections,
    list_memberships,
    list_types,
    list_versions,
)
from wandb_server.blobs import base64_digest, hex_digest
from wandb_server.errors import ClientError
from wandb_server.projects import Project, get_project
from wandb_server.resolvers.context import Resolver, Resolvers, context
from wandb_server.resolvers.files import artifact_file_node, blob_node
from wandb_server.resolvers.identity import USER
from wandb_server.resolvers.paging import connect
from wandb_server.resolvers.runs import run_connection
from wandb_server.runs import get_run

# What the SDK reads as "never deleted".
_NO_TTL = -2


def _artifact(_root: object, info: GraphQLResolveInfo, id: str) -> Artifact | None:  # noqa: A002
    found = find_artifact(context(info).connection, ids.decode("Artifact", id))
    return found if found is not None and found.state == "COMMITTED" else None


def _collection(_root: object, info: GraphQLResolveInfo, id: str) -> Collection:  # noqa: A002
    return get_collection(context(info).connection, ids.decode("ArtifactCollection", id))


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


def _types(
    project: Project,
    info: GraphQLResolveInfo,
    first: int | None = None,
    after: str | None = None,
    **_ignored: object,
) -> dict[str, Any]:
    return connect(list_types(context(info).connection, project.id), _row, first, after)


def _collections(
    source: Project | ArtifactType,
    info: GraphQLResolveInfo,
    first: int | None = None,
    after: str | None = None,
    **_ignored: object,
) -> dict[str, Any]:
    project_id, type_id = (
        (source.project_id, source.id) if isinstance(source, ArtifactType) else (source.id, None)
    )
    found = list_collections(context(info).connection, project_id, type_id)
    return connect(found, _row, first, after)


def _type_collection(
    artifact_type: ArtifactType, info: GraphQLResolveInfo, name: str
) -> Collection | None:
    found = find_collection(context(info).connection, artifact_type.project_id, name)
    return found if found and found.type_id == artifact_type.id else None


def _versions(
    collection: Collection,
    info: GraphQLResolveInfo,
    first: int | None = None,
    after: str | None = None,
    **_ignored: object,
) -> dict[str, Any]:
    connection = context(info).connection
    found = list_versions(connection, collection.id)
    page = connect(found, _row, first, after)
    for edge in page["edges"]:
        member = edge["node"]
        edge["version"] = f"v{member.version_index}"
        edge["node"] = get_artifact(connection, member.artifact_id)
    return page


def _collection_aliases(
    collection: Collection,
    info: GraphQLResolveInfo,
    first: int | None = None,
    after: str | None = None,
) -> dict[str, Any]:
    found = list_aliases(context(info).connection, None, collection.id)
    return connect(found, _row, first, after)


def _collection_tags(collection: Collection, info: GraphQLResolveInfo) -> dict[str, Any]:
    tags = list_collection_tags(context(info).connection, collection.id)
    return {"edges": [{"node": tag} for tag in tags]}


def _latest(collection: Collection, info: GraphQLResolveInfo) -> Artifact | None:
    connection = context(info).connection
    found = find_member(connection, collection.id, LATEST)
    return None if found is None else get_artifact(connection, found.artifact_id)


def _member(
    collection: Collection,
    info: GraphQLResolveInfo,
    aliasName: str,  # noqa: N803  GraphQL's name
) -> Membership | None:
    return find_member(context(info).connection, collection.id, aliasName)


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

    return connect(wanted, _row, first, after, load)


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
    return connect(list_memberships(context(info).connection, artifact.id), _row)


def _created_by(artifact: Artifact, info: GraphQLResolveInfo) -> object:
    if artifact.run_id is None:
        return USER
    return get_run(context(info).connection, artifact.run_id)


def _artifact_type(artifact: Artifact, info: GraphQLResolveInfo) -> ArtifactType:
    connection = context(info).connection
    return get_type(connection, get_collection(connection, artifact.collection_id).type_id)


def _row(record: Any) -> int:  # noqa: ANN401  any record
    """What a record is recognised by in a list."""
    return int(record.id)


_COLLECTION: dict[str, Resolver] = {
    "id": lambda collection, _info: ids.encode("ArtifactCollection", collection.id),
    "state": lambda _collection, _info: "READY",
    "project": lambda item, info: get_project(context(info).connection, item.project_id),
    "defaultArtifactType": lambda item, info: get_type(context(info).connection, item.type_id),
    "tags": _collection_tags,
    "aliases": _collection_aliases,
    "artifacts": _versions,
    "artifactMembership": _member,
}

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
    "Query": {
        "artifact": _artifact,
        "artifactCollection": _collection,
        "clientIDMapping": _client_id,
    },
    "Project": {
        "artifactTypes": _types,
        "artifactType": lambda project, info, name: find_type(
            context(info).connection, project.id, name
        ),
        "artifact": _project_artifact,
        "artifactCollection": lambda project, info, name: find_collection(
            context(info).connection, project.id, name
        ),
        "artifactCollections": _collections,
        "artifactCollectionMembership": _membership,
    },
    "ArtifactType": {
        "id": lambda artifact_type, _info: ids.encode("ArtifactType", artifact_type.id),
        "artifactCollections": _collections,
        "artifactCollection": _type_collection,
    },
    "ArtifactSequence": {
        **_COLLECTION,
        "latestArtifact": _latest,
        "digestAlgorithm": lambda _collection, _info: "MANIFEST_MD5",
    },
    "ArtifactPortfolio": _COLLECTION,
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
