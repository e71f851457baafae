"""The one user of this server, entities and projects."""

from dataclasses import dataclass
from typing import Any

from graphql import GraphQLResolveInfo

from wandb_server import ids, registries
from wandb_server.projects import (
    Project,
    ensure_project,
    find_project,
    get_project,
    list_projects,
    measure_entity,
    set_description,
)
from wandb_server.resolvers.context import Context, Resolvers, context
from wandb_server.resolvers.paging import connect


def user_of(info: GraphQLResolveInfo) -> dict[str, Any]:
    """Describe the user who asks: the only one of this server."""
    name = context(info).user
    return {
        "id": ids.encode("User", 1),
        "name": name,
        "username": name,
        "email": None,
        "admin": False,  # there is nobody to administer
        "flags": "{}",
        "entity": name,
        "apiKeys": {"edges": []},
        "teams": {"edges": [{"node": Entity(name)}]},
    }


@dataclass(frozen=True)
class Entity:
    """An owner of projects; every name is one, and all belong to the one user.

    `kind` is "user", or "organization" for the same entity as the owner of registries.
    """

    name: str
    kind: str = "user"


def _viewer(_root: object, info: GraphQLResolveInfo) -> dict[str, Any]:
    return user_of(info)


# What the SDK may count on beyond what its oldest versions ask for.
_FEATURES = (
    "STRUCTURED_CONSOLE_LOGS",
    "ARTIFACT_REGISTRY_SEARCH",
    "INCLUDE_ARTIFACT_TYPES_IN_REGISTRY_CREATION",
    "ARTIFACT_COLLECTIONS_FILTERING_SORTING",
    "ARTIFACT_MEMBERSHIP_IN_LINK_ARTIFACT_RESPONSE",
    "TOTAL_COUNT_IN_FILE_CONNECTION",
    "SWEEPS_QUERY_FILTERING",
)


def _server_info(_root: object, _info: GraphQLResolveInfo) -> dict[str, Any]:
    return {
        "features": [{"name": name, "isEnabled": True} for name in _FEATURES],
        "cliVersionInfo": {"max_cli_version": "0.31.0", "min_cli_version": "0.28.0"},
    }


def _entity(_root: object, info: GraphQLResolveInfo, name: str | None = None) -> Entity:
    return Entity(name or context(info).user)


def _entity_project(
    entity: Entity, info: GraphQLResolveInfo, name: str | None = None
) -> Project | None:
    return find_project(context(info).connection, entity.name, name)


def _project(
    _root: object,
    info: GraphQLResolveInfo,
    name: str | None = None,
    entityName: str | None = None,  # noqa: N803  GraphQL's name
) -> Project | None:
    scope = context(info)
    return find_project(scope.connection, entityName or scope.user, name)


def _projects(
    _root: object,
    info: GraphQLResolveInfo,
    entityName: str | None = None,  # noqa: N803  GraphQL's name
    after: str | None = None,
    first: int | None = None,
) -> dict[str, Any]:
    scope = context(info)
    projects = list_projects(scope.connection, entityName or scope.user)
    return connect(projects, lambda project: project.id, first, after)


def _upsert_project(
    _root: object,
    info: GraphQLResolveInfo,
    input: dict[str, Any],  # noqa: A002  GraphQL's name
) -> dict[str, Any]:
    scope = context(info)
    entity, name = scope.entity_of(input), input.get("name")
    known = find_project(scope.connection, entity, name)
    project = known or ensure_project(scope.connection, entity, name)
    if input.get("description") is not None:
        set_description(scope.connection, project.id, input["description"])
    if project.name.startswith(registries.PREFIX):
        _set_registry(scope, project, input)
    project = get_project(scope.connection, project.id)
    return {"project": project, "model": project, "inserted": known is None}


def _set_registry(scope: Context, project: Project, fields: dict[str, Any]) -> None:
    if fields.get("access") is not None:
        registries.set_access(scope.connection, project, fields["access"])
    if fields.get("allowAllArtifactTypesInRegistry") is not None:
        names = [kind["name"] for kind in fields.get("artifactTypes") or []]
        any_type = fields["allowAllArtifactTypesInRegistry"]
        registries.set_types(scope.connection, project, any_type=any_type, names=names)


def _storage_bytes(entity: Entity, info: GraphQLResolveInfo) -> int:
    return measure_entity(context(info).connection, entity.name)


def _members(_entity: Entity, info: GraphQLResolveInfo) -> list[dict[str, Any]]:
    return [{**user_of(info), "admin": True, "pending": False, "accountType": "USER"}]


RESOLVERS: Resolvers = {
    "Query": {
        "viewer": _viewer,
        "serverInfo": _server_info,
        "entity": _entity,
        "project": _project,
        "model": _project,
        "models": _projects,
    },
    "Mutation": {"upsertModel": _upsert_project},
    "Entity": {
        "id": lambda entity, _info: entity.name,
        "available": lambda _entity, _info: False,
        "entityType": lambda entity, _info: entity.kind,
        "isTeam": lambda _entity, _info: False,
        "isPaid": lambda _entity, _info: None,
        "readOnly": lambda _entity, _info: False,
        "readOnlyAdmin": lambda _entity, _info: False,
        "privateOnly": lambda _entity, _info: True,
        "codeSavingEnabled": lambda _entity, _info: True,
        "defaultAccess": lambda _entity, _info: "PRIVATE",
        "storageBytes": _storage_bytes,
        "photoUrl": lambda _entity, _info: None,
        "members": _members,
        "user": lambda _entity, info: user_of(info),
        "project": _entity_project,
        "xxhashDigestsEnabled": lambda _entity, _info: False,
    },
    "Project": {
        "id": lambda project, _info: ids.encode("Project", project.id),
        "internalId": lambda project, _info: ids.encode("ProjectInternalId", project.id),
        "entity": lambda project, _info: Entity(project.entity),
        "entityName": lambda project, _info: project.entity,
        "updatedAt": lambda project, _info: project.updated_at or project.created_at,
        "isBenchmark": lambda _project, _info: False,
        "views": lambda _project, _info: None,
        "readOnly": lambda _project, _info: False,
        "user": lambda _project, info: user_of(info),
    },
}
