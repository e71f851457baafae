"""The page of all projects."""

from typing import Any

from wandb_server import queries
from wandb_server.errors import NotFoundError
from wandb_server.pages.visits import Visit


def projects(visit: Visit) -> dict[str, Any]:
    """List the projects: all, or those of the entity in the address."""
    entity = visit.names.get("entity")
    found = queries.project_summaries(visit.connection)
    shown = [project for project in found if entity in (None, project.entity)]
    if entity and not shown:
        raise NotFoundError(f"Nobody called {entity} has a project here.")
    shown.sort(key=lambda project: project.last_active or project.created_at, reverse=True)
    return {"projects": shown}
