"""Artifact types and collections as clients read them."""

from typing import Any

from graphql import GraphQLResolveInfo

from wandb_server import ids
from wandb_server.artifact.lookups import (
    find_collection,
    find_member,
    find_type,
    get_artifact,
    get_collection,
    get_type,
    list_aliases,
    list_collection_tags,
    list_collections,
    list_types,
    list_versions,
)
from wandb_server.artifact.records import (
    LATEST,
    Artifact,
    ArtifactType,
    Collection,
    Membership,
)
from wandb_server.artifact.search import search_collections, search_members
from wandb_server.projects import Project, get_project
from wandb_server.resolvers.context import Resolver, Resolvers, context
from wandb_server.resolvers.paging import connect
from wandb_server.resolvers.versions import row_id


def _collection(_root: object, info: GraphQLResolveInfo, id: str) -> Collection:  # noqa: A002
    return get_collection(context(info).connection, ids.decode("ArtifactCollection", id))


def _types(
    project: Project,
    info: GraphQLResolveInfo,
    first: int | None = None,
    after: str | None = None,
    **_ignored: object,
) -> dict[str, Any]:
    return connect(list_types(context(info).connection, project.id), row_id, first, after)


def _collections(
    source: Project | ArtifactType,
    info: GraphQLResolveInfo,
    first: int | None = None,
    after: str | None = None,
    filters: str | None = None,
    order: str | None = None,
) -> dict[str, Any]:
    connection = context(info).connection
    project_id, type_id = (
        (source.project_id, source.id) if isinstance(source, ArtifactType) else (source.id, None)
    )
    listed = list_collections(connection, project_id, type_id)
    found = search_collections(connection, listed, filters, order)
    return connect(found, row_id, first, after)


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
    order: str | None = None,
    filters: str | None = None,
) -> dict[str, Any]:
    connection = context(info).connection
    listed = list_versions(connection, collection.id)
    found = search_members(connection, listed, filters, order)
    page = connect(found, row_id, first, after)
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
    return connect(found, row_id, first, after)


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

RESOLVERS: Resolvers = {
    "Query": {"artifactCollection": _collection},
    "Project": {
        "artifactTypes": _types,
        "artifactType": lambda project, info, name: find_type(
            context(info).connection, project.id, name
        ),
        "artifactCollection": lambda project, info, name: find_collection(
            context(info).connection, project.id, name
        ),
        "artifactCollections": _collections,
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
}
