"""Registries: projects of a special name whose collections are links to versions elsewhere."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from wandb_server import clock, ids
from wandb_server.artifact.create import ensure_type
from wandb_server.artifact.lookups import list_collections, list_versions
from wandb_server.artifact.records import Collection, Membership
from wandb_server.artifact.search import search_collections, search_members, select_items
from wandb_server.database import fetch
from wandb_server.errors import ClientError, NotFoundError
from wandb_server.names import check_label
from wandb_server.projects import Project, find_project, get_project, list_projects

PREFIX = "wandb-registry-"
# An organization of W&B's has these two from the start; here, the first link makes them.
_GIVEN = {f"{PREFIX}model", f"{PREFIX}dataset"}
# Who may see one: all of the organization, or those who are invited.
_ACCESS = ("PRIVATE", "RESTRICTED")


def check_exists(connection: sqlite3.Connection, entity: str, name: str) -> None:
    """Check that a project into which something is linked is no registry that nobody has made.

    Raises:
        NotFoundError: It is one.
    """
    if not name.startswith(PREFIX) or name in _GIVEN or find_project(connection, entity, name):
        return
    short = name.removeprefix(PREFIX)
    raise NotFoundError(
        f"there is no registry {short!r}: correct the name, or make it first by "
        f"wandb.Api().create_registry({short!r}, visibility='organization')"
    )


def search_registries(
    connection: sqlite3.Connection, entity: str, filters: str | None, order: str | None
) -> list[Project]:
    """Find the registries of an entity, the newest first where no order is given.

    Raises:
        ClientError: The filter or the order can't be read.
    """

    def describe(project: Project) -> dict[str, Any]:
        return {
            "id": [project.id, ids.encode("Project", project.id)],
            "project_id": project.id,
            "name": project.name,
            "description": project.description,
            "created_at": project.created_at,
            "updated_at": project.updated_at or project.created_at,
        }

    found = [item for item in list_projects(connection, entity) if item.name.startswith(PREFIX)]
    return select_items(found, describe, filters, order)


def collections_of(
    connection: sqlite3.Connection,
    registries: Sequence[Project],
    kinds: Sequence[str],
    filters: str | None,
    order: str | None,
) -> list[Collection]:
    """Find the collections of registries.

    Args:
        connection: Open for reading.
        registries: Those to look into.
        kinds: SEQUENCE and PORTFOLIO, or one of them.
        filters: Filter as JSON text; None finds all.
        order: Such as `-created_at`; None means by registry, then the newest first.

    Raises:
        ClientError: The filter or the order can't be read.
    """
    found = [
        collection
        for project in registries
        for collection in list_collections(connection, project.id)
        if collection.kind in kinds
    ]
    return search_collections(connection, found, filters, order)


def versions_of(
    connection: sqlite3.Connection,
    collections: Sequence[Collection],
    filters: str | None,
    order: str | None,
) -> list[Membership]:
    """Find the versions in collections; without an order by collection, then the newest first.

    Raises:
        ClientError: The filter or the order can't be read.
    """
    found = [member for item in collections for member in list_versions(connection, item.id)]
    return search_members(connection, found, filters, order)


def set_access(connection: sqlite3.Connection, project: Project, access: str) -> None:
    """Write down who may see a project; with the one user of this server it limits nobody.

    Raises:
        ClientError: There is no such level.
    """
    if access not in _ACCESS:
        raise ClientError(f"access {access!r}: it must be one of {', '.join(_ACCESS)}")
    connection.execute(
        "UPDATE project SET access = ?, updated_at = ? WHERE id = ?",
        (access, clock.now(), project.id),
    )


def set_types(
    connection: sqlite3.Connection, project: Project, *, any_type: bool, names: Sequence[str]
) -> None:
    """Say which types of artifact may be linked into a registry.

    Args:
        connection: Inside a write transaction.
        project: The registry.
        any_type: Whether all types may.
        names: Types to add to those that may.

    Raises:
        ClientError: The name of a type isn't allowed.
    """
    for name in names:
        ensure_type(connection, project.id, name)
    connection.execute(
        "UPDATE project SET any_type = ?, updated_at = ? WHERE id = ?",
        (int(any_type), clock.now(), project.id),
    )


def check_type(connection: sqlite3.Connection, project_id: int, type_name: str) -> None:
    """Check that a registry takes artifacts of a type.

    Raises:
        ClientError: It takes others only.
    """
    project = get_project(connection, project_id)
    if project.any_type:
        return
    rows = connection.execute("SELECT name FROM artifact_type WHERE project_id = ?", (project_id,))
    allowed = sorted(row[0] for row in rows)
    if type_name not in allowed:
        raise ClientError(
            f"registry {project.name!r} doesn't take artifacts of type {type_name!r}: "
            f"it takes {', '.join(allowed) or 'none'}"
        )


def rename_project(connection: sqlite3.Connection, entity: str, old: str, new: str) -> Project:
    """Give a project another name.

    Raises:
        NotFoundError: There is none of the old name.
        ClientError: The new name isn't allowed, or is taken.
    """
    project = find_project(connection, entity, old)
    if project is None:
        raise NotFoundError(f"there is no project {entity}/{old}")
    if find_project(connection, entity, check_label("project", new)) is not None:
        raise ClientError(f"project {entity}/{new} exists already: take another name")
    connection.execute(
        "UPDATE project SET name = ?, updated_at = ? WHERE id = ?", (new, clock.now(), project.id)
    )
    return get_project(connection, project.id)


def delete_registry(connection: sqlite3.Connection, project: Project) -> None:
    """Delete a registry with its links; the versions themselves stay where they were logged.

    Raises:
        ClientError: It isn't a registry, or versions were logged right into it.
    """
    if not project.name.startswith(PREFIX):
        raise ClientError(f"project {project.name!r} isn't a registry: only those can be deleted")
    logged = fetch(
        connection,
        Collection,
        "SELECT * FROM collection WHERE project_id = ? AND kind = 'SEQUENCE'",
        project.id,
    )
    if logged:
        raise ClientError(
            f"registry {project.name!r} holds artifacts that were logged into it, such as "
            f"{logged[0].name!r}: delete those first"
        )
    connection.execute("DELETE FROM project WHERE id = ?", (project.id,))
