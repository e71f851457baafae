"""Projects: found by entity and name, made when first written to."""

import sqlite3
from dataclasses import dataclass

from wandb_server import clock
from wandb_server.database import fetch, fetch_count, fetch_one
from wandb_server.errors import NotFoundError
from wandb_server.names import check_label

DEFAULT_ENTITY = "local"
DEFAULT_PROJECT = "uncategorized"


@dataclass(frozen=True)
class Project:
    """A row of the table `project`.

    `description` may be None, and so may `updated_at` of one that was never changed. `access`
    and `any_type` (0 or 1) say of a registry who may see it, and whether it takes any type.
    """

    id: int
    entity: str
    name: str
    description: str | None
    created_at: str
    access: str
    any_type: int
    updated_at: str | None


def find_project(
    connection: sqlite3.Connection, entity: str | None, name: str | None
) -> Project | None:
    """Look up a project; an empty entity or name means the default one."""
    return fetch_one(
        connection,
        Project,
        "SELECT * FROM project WHERE entity = ? AND name = ?",
        entity or DEFAULT_ENTITY,
        name or DEFAULT_PROJECT,
    )


def get_project(connection: sqlite3.Connection, project_id: int) -> Project:
    """Look up a project by its row.

    Raises:
        NotFoundError: It doesn't exist.
    """
    found = fetch_one(connection, Project, "SELECT * FROM project WHERE id = ?", project_id)
    if found is None:
        raise NotFoundError(f"project {project_id} doesn't exist")
    return found


def list_projects(connection: sqlite3.Connection, entity: str | None = None) -> list[Project]:
    """List the projects of an entity (None: of all), newest first."""
    return fetch(
        connection,
        Project,
        "SELECT * FROM project WHERE entity = coalesce(?, entity) ORDER BY id DESC",
        entity,
    )


def ensure_project(connection: sqlite3.Connection, entity: str | None, name: str | None) -> Project:
    """Look up a project and make it if it doesn't exist; inside a write transaction.

    Raises:
        ClientError: The entity or the name isn't allowed.
    """
    entity = check_label("entity", entity or DEFAULT_ENTITY)
    name = check_label("project", name or DEFAULT_PROJECT)
    # Looked for first: an insert that is ignored still counts up and has to be synced.
    found = find_project(connection, entity, name)
    if found is not None:
        return found
    cursor = connection.execute(
        "INSERT INTO project (entity, name, created_at) VALUES (?, ?, ?)",
        (entity, name, clock.now()),
    )
    return get_project(connection, int(cursor.lastrowid or 0))


def set_description(connection: sqlite3.Connection, project_id: int, description: str) -> None:
    """Change the description of a project."""
    connection.execute(
        "UPDATE project SET description = ?, updated_at = ? WHERE id = ?",
        (description, clock.now(), project_id),
    )


def measure_entity(connection: sqlite3.Connection, entity: str) -> int:
    """Sum up the sizes in bytes of the files of an entity's runs and versions.

    Content that several of them share is stored once, but counts for each.
    """
    return fetch_count(
        connection,
        "SELECT (SELECT coalesce(sum(size), 0) FROM run_file"
        "   JOIN run ON run.id = run_id JOIN project ON project.id = run.project_id"
        "   WHERE entity = ?1)"
        " + (SELECT coalesce(sum(size), 0) FROM artifact"
        "   JOIN collection ON collection.id = collection_id"
        "   JOIN project ON project.id = collection.project_id"
        "   WHERE entity = ?1 AND artifact.state = 'COMMITTED')",
        entity,
    )
