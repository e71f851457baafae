"""Which page is shown at which address."""

import functools
import sqlite3
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from wandb_server.database import Database
from wandb_server.errors import NotFoundError
from wandb_server.pages import views
from wandb_server.pages.rendering import Renderer
from wandb_server.pages.sign_in import FrontDoor, sign_in
from wandb_server.urls import Urls

# Reads what a page shows; raises NotFoundError if there is no such page.
View = Callable[[sqlite3.Connection, views.Names], dict[str, Any]]


def add_pages(app: Starlette) -> ASGIApp:
    """Add the pages to the application.

    Args:
        app: From `create_app`; its state holds the database and the signer.

    Returns:
        The application behind a front door that shows people the way to sign in.
    """
    renderer, signer = Renderer(), app.state.signer
    urls = Urls("", signer)
    run = functools.partial(views.run, urls)
    version = functools.partial(views.version, urls)

    def page(path: str, template: str, view: View) -> Route:
        return Route(path, _endpoint(app.state.database, renderer, template, view))

    project = "/{entity}/{project}"
    artifact = project + "/artifacts/{type}/{name}"
    app.routes.extend(
        [
            Route("/signin", lambda request: sign_in(request, signer, renderer)),
            page("/", "projects.html", views.projects),
            page("/{entity}", "projects.html", views.projects),
            page(project, "project.html", views.project),
            page(project + "/runs/{run}", "run.html", run),
            page(artifact, "collection.html", views.collection),
            page(artifact + "/{label}", "version.html", version),
        ]
    )
    return FrontDoor(app, renderer)


def _endpoint(
    database: Database, renderer: Renderer, template: str, view: View
) -> Callable[[Request], Response]:
    def show(request: Request) -> Response:
        try:
            with database.read() as connection:
                shown = view(connection, request.path_params)
        except NotFoundError as error:
            return renderer.page("missing.html", 404, reason=str(error))
        return renderer.page(template, **shown)

    return show
