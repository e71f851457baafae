"""The one user of this server, entities and projects."""

from dataclasses import dataclass
from typing import Any

from graphql import GraphQLResolveInfo

from wandb_server import ids
from wandb_server.projects import (
    Project,
    ensure_project,
    find_project,
    list_projects,
)
from wandb_server.resolvers.context import Resolvers, context
from wandb_server.resolvers.paging import connect


def user_of(info: GraphQLResolveInfo) -> dict[str, Any]:
    """Describe the user who asks: the only one of this server."""
    name = context(info).user
    return {
        "id": ids.encode("User", 1),
        "name": name,
        "username": name,
        "email": None,
        "admin": True,
        "flags": "{}",
        "entity": name,
        "apiKeys": {"edges": []},
        "teams": {"edges": [{"node": {"name": name}}]},
        "organizations": [],
    }


@dataclass(frozen=True)
class Entity:
    """An owner of projects; every name is one, and all belong to the one user."""

    name: str


def _viewer(_root: object, info: GraphQLResolveInfo) -> dict[str, Any]:
    return user_of(info)


def _server_info(_root: object, _info: GraphQLResolveInfo) -> dict[str, Any]:
    return {
        "features": [],
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
    connection = context(info).connection
    entity, name = input.get("entityName") or context(info).user, input.get("name")
    known = find_project(connection, entity, name)
    project = known or ensure_project(connection, entity, name)
    if input.get("description") is not None:
        connection.execute(
            "UPDATE project SET description = ? WHERE id = ?", (input["description"], project.id)
        )
        project = find_project(connection, entity, name) or project
    return {"project": project, "model": project, "inserted": known is None}


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
        "entityType": lambda _entity, _info: "user",
        "isTeam": lambda _entity, _info: False,
        "isPaid": lambda _entity, _info: None,
        "readOnly": lambda _entity, _info: False,
        "readOnlyAdmin": lambda _entity, _info: False,
        "privateOnly": lambda _entity, _info: None,
        "codeSavingEnabled": lambda _entity, _info: True,
        "defaultAccess": lambda _entity, _info: None,
        "storageBytes": lambda _entity, _info: None,
        "photoUrl": lambda _entity, _info: None,
        "members": lambda _entity, _info: [],
        "organization": lambda _entity, _info: None,
        "user": lambda _entity, info: user_of(info),
        "project": _entity_project,
        "xxhashDigestsEnabled": lambda _entity, _info: False,
    },
    "Project": {
        "id": lambda project, _info: ids.encode("Project", project.id),
        "internalId": lambda project, _info: ids.encode("ProjectInternalId", project.id),
        "entity": lambda project, _info: Entity(project.entity),
        "entityName": lambda project, _info: project.entity,
        "updatedAt": lambda project, _info: project.created_at,
        "isBenchmark": lambda _project, _info: False,
        "access": lambda _project, _info: "PRIVATE",
        "views": lambda _project, _info: None,
        "readOnly": lambda _project, _info: False,
        "user": lambda _project, info: user_of(info),
    },
}
