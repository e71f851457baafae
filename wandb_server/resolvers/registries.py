"""Organizations and their registries as clients read and change them.

Every entity has an organization of its own name, whose entity, which holds the registries, is
that entity again.
"""

from dataclasses import dataclass
from typing import Any

from graphql import GraphQLResolveInfo

from wandb_server import ids
from wandb_server.projects import Project, get_project, list_projects
from wandb_server.registries import (
    collections_of,
    delete_registry,
    rename_project,
    search_registries,
    versions_of,
)
from wandb_server.resolvers.context import Resolvers, context
from wandb_server.resolvers.identity import Entity
from wandb_server.resolvers.paging import connect
from wandb_server.resolvers.versions import row_id


@dataclass(frozen=True)
class Organization:
    """An organization; its entity has the same name."""

    name: str


def _own(entity: Entity, _info: GraphQLResolveInfo) -> Organization:
    return Organization(entity.name)


def _organizations(_user: object, info: GraphQLResolveInfo) -> list[Organization]:
    return [Organization(context(info).user)]


def _organization(
    _root: object, info: GraphQLResolveInfo, name: str | None = None
) -> Organization | None:
    scope = context(info)
    if name in (None, scope.user) or list_projects(scope.connection, name):
        return Organization(name or scope.user)
    return None


def _registries(
    entity: Entity,
    info: GraphQLResolveInfo,
    filters: str | None = None,
    order: str | None = None,
    first: int | None = None,
    after: str | None = None,
) -> dict[str, Any]:
    found = search_registries(context(info).connection, entity.name, filters, order)
    return connect(found, row_id, first, after)


def _collections(
    entity: Entity,
    info: GraphQLResolveInfo,
    projectFilters: str | None = None,  # noqa: N803  GraphQL's name
    filters: str | None = None,
    collectionTypes: list[str] | None = None,  # noqa: N803  GraphQL's name
    order: str | None = None,
    first: int | None = None,
    after: str | None = None,
) -> dict[str, Any]:
    connection = context(info).connection
    registries = search_registries(connection, entity.name, projectFilters, None)
    kinds = collectionTypes or ["PORTFOLIO"]
    found = collections_of(connection, registries, kinds, filters, order)
    return connect(found, row_id, first, after)


def _memberships(
    entity: Entity,
    info: GraphQLResolveInfo,
    projectFilters: str | None = None,  # noqa: N803  GraphQL's name
    collectionFilters: str | None = None,  # noqa: N803  GraphQL's name
    filters: str | None = None,
    order: str | None = None,
    first: int | None = None,
    after: str | None = None,
) -> dict[str, Any]:
    connection = context(info).connection
    registries = search_registries(connection, entity.name, projectFilters, None)
    collections = collections_of(connection, registries, ["PORTFOLIO"], collectionFilters, None)
    found = versions_of(connection, collections, filters, order)
    return connect(found, row_id, first, after)


def _rename(
    _root: object,
    info: GraphQLResolveInfo,
    input: dict[str, Any],  # noqa: A002  GraphQL's name
) -> dict[str, Any]:
    names = (input["entityName"], input["oldProjectName"], input["newProjectName"])
    project = rename_project(context(info).connection, *names)
    return {"project": project, "model": project, "inserted": False}


def _delete(
    _root: object,
    info: GraphQLResolveInfo,
    input: dict[str, Any],  # noqa: A002  GraphQL's name
) -> dict[str, Any]:
    connection = context(info).connection
    delete_registry(connection, get_project(connection, ids.decode("Project", input["id"])))
    return {"success": True}


def _any_type(project: Project, _info: GraphQLResolveInfo) -> bool:
    return bool(project.any_type)


RESOLVERS: Resolvers = {
    "Query": {"organization": _organization},
    "Mutation": {"renameProject": _rename, "deleteModel": _delete},
    "User": {"organizations": _organizations},
    "Organization": {
        "id": lambda _organization, _info: ids.encode("Organization", 1),
        "orgEntity": lambda organization, _info: Entity(organization.name, "organization"),
        "coreWeaveOrganizationId": lambda _organization, _info: None,
        "featureFlags": lambda _organization, _info, **_kind: [],
        "advancedRegistryFeatures": lambda _organization, _info: {"advancedSearch": True},
    },
    "Entity": {
        "organization": _own,
        "projects": _registries,
        "artifactCollections": _collections,
        "artifactMemberships": _memberships,
    },
    "Project": {"allowAllArtifactTypesInRegistry": _any_type},
}
