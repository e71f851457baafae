"""What clients change about versions and collections that exist: aliases, tags, links, names."""

from collections.abc import Callable
from itertools import groupby
from typing import Any

from graphql import GraphQLResolveInfo

from wandb_server import clock, ids
from wandb_server.artifact.aliases import add_tags, remove_aliases, remove_tags, set_aliases
from wandb_server.artifact.links import (
    delete_artifact,
    delete_collection,
    link_artifact,
    move_collection,
    rename_collection,
    unlink_artifact,
)
from wandb_server.artifact.lookups import (
    find_collection,
    get_artifact,
    get_collection,
    get_committed,
    list_collection_tags,
)
from wandb_server.artifact.records import (
    Artifact,
    Collection,
)
from wandb_server.errors import ClientError, NotFoundError
from wandb_server.projects import ensure_project, find_project
from wandb_server.registries import check_exists
from wandb_server.resolvers.context import Context, Resolvers, context
from wandb_server.runs import check_object

Input = dict[str, Any]
_SUCCESS = {"success": True}


def _update(_root: object, info: GraphQLResolveInfo, input: Input) -> dict[str, Any]:  # noqa: A002
    scope = context(info)
    artifact = _committed(scope, input)
    columns = {
        "description": input.get("description"),
        "metadata": input.get("metadata"),
        "ttl_seconds": input.get("ttlDurationSeconds"),
    }
    if columns["metadata"] is not None:
        check_object("metadata", columns["metadata"])
    changes = {column: value for column, value in columns.items() if value is not None}
    changes["updated_at"] = clock.now()
    assignments = ", ".join(f"{column} = :{column}" for column in changes)
    scope.connection.execute(
        f"UPDATE artifact SET {assignments} WHERE id = :id",  # noqa: S608  our own column names
        {**changes, "id": artifact.id},
    )
    add_tags(scope.connection, "artifact", artifact.id, _tags(input, "tagsToAdd"))
    remove_tags(scope.connection, "artifact", artifact.id, _tags(input, "tagsToDelete"))
    if input.get("aliases") is not None:
        labels = [alias["alias"] for alias in input["aliases"]]
        set_aliases(scope.connection, artifact.collection_id, artifact.id, labels)
    return {"artifact": get_committed(scope.connection, artifact.id)}


def _delete(_root: object, info: GraphQLResolveInfo, input: Input) -> dict[str, Any]:  # noqa: A002
    scope = context(info)
    artifact = get_artifact(scope.connection, ids.decode("Artifact", input["artifactID"]))
    if artifact.state != "DELETED":  # else this is a repeated request
        wanted = bool(input.get("deleteAliases"))
        delete_artifact(scope.connection, artifact, delete_aliases=wanted)
    return {"artifact": artifact}


_Change = Callable[[Any, int, int, list[str]], None]


def _change_aliases(change: _Change) -> Callable[..., dict[str, Any]]:
    def resolve(
        _root: object,
        info: GraphQLResolveInfo,
        input: Input,  # noqa: A002
    ) -> dict[str, Any]:
        scope = context(info)
        artifact = _committed(scope, input)
        by_collection = sorted(input["aliases"], key=_collection_path)
        for path, group in groupby(by_collection, key=_collection_path):
            collection = _named_collection(scope, *path)
            change(scope.connection, collection.id, artifact.id, [item["alias"] for item in group])
        return _SUCCESS

    return resolve


def _collection_path(fields: Input) -> tuple[str, str, str]:
    return (fields["entityName"], fields["projectName"], fields["artifactCollectionName"])


def _link(_root: object, info: GraphQLResolveInfo, input: Input) -> dict[str, Any]:  # noqa: A002
    scope = context(info)
    artifact = _linkable(scope, input)
    if input.get("artifactPortfolioID"):
        row = ids.decode("ArtifactCollection", input["artifactPortfolioID"])
        known = get_collection(scope.connection, row)
        project_id, name = known.project_id, known.name
    else:
        entity, home = scope.entity_of(input), input.get("projectName") or ""
        check_exists(scope.connection, entity, home)
        project = ensure_project(scope.connection, entity, home)
        project_id, name = project.id, input.get("artifactPortfolioName") or ""
    aliases = [alias["alias"] for alias in input.get("aliases") or []]
    member = link_artifact(scope.connection, artifact, project_id, name, aliases)
    return {"versionIndex": member.version_index, "artifactMembership": member}


def _linkable(scope: Context, fields: Input) -> Artifact:
    """Find the version that is to be linked, by its id or by the id that its client gave it."""
    if fields.get("artifactID"):
        return _committed(scope, fields)
    row = scope.connection.execute(
        "SELECT artifact_id FROM artifact_client WHERE client_id = ?", (fields.get("clientID"),)
    ).fetchone()
    if row is None:
        raise NotFoundError("no artifact has this client id: log it, then link it")
    return get_committed(scope.connection, row[0])


def _unlink(_root: object, info: GraphQLResolveInfo, input: Input) -> dict[str, Any]:  # noqa: A002
    scope = context(info)
    portfolio_id = ids.decode("ArtifactCollection", input["artifactPortfolioID"])
    unlink_artifact(scope.connection, _committed(scope, input).id, portfolio_id)
    return _SUCCESS


def _update_collection(kind: str) -> Callable[..., dict[str, Any]]:
    def resolve(
        _root: object,
        info: GraphQLResolveInfo,
        input: Input,  # noqa: A002
    ) -> dict[str, Any]:
        scope = context(info)
        collection = _collection_of_kind(scope, kind, input[f"artifact{kind.title()}ID"])
        rename_collection(scope.connection, collection, input.get("name"), input.get("description"))
        return {"artifactCollection": get_collection(scope.connection, collection.id)}

    return resolve


def _delete_collection(kind: str) -> Callable[..., dict[str, Any]]:
    def resolve(
        _root: object,
        info: GraphQLResolveInfo,
        input: Input,  # noqa: A002
    ) -> dict[str, Any]:
        scope = context(info)
        collection = _collection_of_kind(scope, kind, input[f"artifact{kind.title()}ID"])
        delete_collection(scope.connection, collection.id)
        return {"artifactCollection": collection}

    return resolve


def _move(_root: object, info: GraphQLResolveInfo, input: Input) -> dict[str, Any]:  # noqa: A002
    scope = context(info)
    collection = _collection_of_kind(scope, "SEQUENCE", input["artifactSequenceID"])
    move_collection(scope.connection, collection, input["destinationArtifactTypeName"])
    return {"artifactCollection": get_collection(scope.connection, collection.id)}


def _add_tags(_root: object, info: GraphQLResolveInfo, input: Input) -> dict[str, Any]:  # noqa: A002
    scope = context(info)
    collection = _named_collection(scope, *_collection_path(input))
    add_tags(scope.connection, "collection", collection.id, _tags(input, "tags"))
    return {"tags": list_collection_tags(scope.connection, collection.id)}


def _remove_tags(
    _root: object,
    info: GraphQLResolveInfo,
    input: Input,  # noqa: A002
) -> dict[str, Any]:
    scope = context(info)
    collection = _named_collection(scope, *_collection_path(input))
    remove_tags(scope.connection, "collection", collection.id, _tags(input, "tags"))
    return _SUCCESS


def _tags(fields: Input, key: str) -> list[str]:
    return [tag["tagName"] for tag in fields.get(key) or []]


def _committed(scope: Context, fields: Input) -> Artifact:
    return get_committed(scope.connection, ids.decode("Artifact", fields["artifactID"]))


def _named_collection(scope: Context, entity: str, project: str, name: str) -> Collection:
    owner = find_project(scope.connection, entity, project)
    found = owner and find_collection(scope.connection, owner.id, name)
    if not found:
        raise NotFoundError(f"there is no artifact {entity}/{project}/{name}")
    return found


def _collection_of_kind(scope: Context, kind: str, collection_id: str) -> Collection:
    found = get_collection(scope.connection, ids.decode("ArtifactCollection", collection_id))
    if found.kind != kind:
        raise ClientError(f"{found.name!r} is a {found.kind.lower()}, not a {kind.lower()}")
    return found


RESOLVERS: Resolvers = {
    "Mutation": {
        "updateArtifact": _update,
        "deleteArtifact": _delete,
        "addAliases": _change_aliases(set_aliases),
        "deleteAliases": _change_aliases(remove_aliases),
        "linkArtifact": _link,
        "unlinkArtifact": _unlink,
        "updateArtifactSequence": _update_collection("SEQUENCE"),
        "updateArtifactPortfolio": _update_collection("PORTFOLIO"),
        "moveArtifactSequence": _move,
        "deleteArtifactSequence": _delete_collection("SEQUENCE"),
        "deleteArtifactPortfolio": _delete_collection("PORTFOLIO"),
        "createArtifactCollectionTagAssignments": _add_tags,
        "deleteArtifactCollectionTagAssignments": _remove_tags,
    }
}
