"""Which page is shown at which address."""

from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from wandb_server.auth import SESSION_COOKIE
from wandb_server.errors import ClientError, NotFoundError
from wandb_server.pages import (
    alias_changes,
    artifact_pages,
    changing,
    compare_page,
    lineage_page,
    project_page,
    projects_page,
    run_page,
    search_page,
    sweep_pages,
    version_changes,
)
from wandb_server.pages.rendering import Renderer
from wandb_server.pages.sign_in import PATH, FrontDoor, sign_in
from wandb_server.pages.visits import Visit
from wandb_server.urls import Urls

# Reads what a page shows; raises NotFoundError if there is no such page.
View = Callable[[Visit], dict[str, Any]]


def add_pages(app: Starlette) -> ASGIApp:
    """Add the pages to the application.

    Args:
        app: From `create_app`; its state holds the database, the blobs and the signer.

    Returns:
        The application behind a front door that shows people the way to sign in.
    """
    renderer = Renderer()
    project = "/{entity}/{project}"
    artifact = project + "/artifacts/{type}/{name}"
    version = artifact + "/{label}"
    pages: list[tuple[str, str, View]] = [
        ("/", "projects.html", projects_page.projects),
        ("/search", "search.html", search_page.search),
        ("/{entity}", "projects.html", projects_page.projects),
        (project, "project.html", project_page.project),
        (project + "/compare", "compare.html", compare_page.compare),
        (project + "/runs/{run}", "run.html", run_page.run),
        (project + "/runs/{run}/files/{file:path}", "file.html", run_page.run_file),
        (project + "/sweeps", "sweeps.html", sweep_pages.sweeps),
        (project + "/sweeps/{sweep}", "sweep.html", sweep_pages.sweep),
        (project + "/artifacts", "artifacts.html", artifact_pages.artifacts),
        (project + "/artifacts/{type}", "artifacts.html", artifact_pages.artifacts),
        (artifact, "collection.html", artifact_pages.collection),
        (version, "version.html", artifact_pages.version),
        (version + "/files/{file:path}", "file.html", artifact_pages.version_file),
        (version + "/changes", "changes.html", version_changes.changes),
        (version + "/alias", "alias.html", alias_changes.ask),
        (version + "/lineage", "lineage.html", lineage_page.lineage),
    ]
    signer = app.state.signer
    app.routes.extend(
        [
            Route(PATH, lambda request: sign_in(request, signer, renderer)),
            Route(changing.ALIAS, changing.alias_endpoint(app.state, renderer), methods=["POST"]),
            Route(project + "/runs.csv", _csv_endpoint(app, renderer)),
            Route(
                project + "/runs/{run}/frames/{file:path}",
                _answer(app, renderer, run_page.run_frame),
            ),
            Route(
                version + "/frames/{file:path}",
                _answer(app, renderer, artifact_pages.version_frame),
            ),
            *(Route(path, _endpoint(app, renderer, name, view)) for path, name, view in pages),
        ]
    )
    return FrontDoor(app, renderer)


def _endpoint(
    app: Starlette, renderer: Renderer, template: str, view: View
) -> Callable[[Request], Response]:
    return _answer(app, renderer, lambda visit: renderer.page(template, **view(visit)))


def _csv_endpoint(app: Starlette, renderer: Renderer) -> Callable[[Request], Response]:
    def show(visit: Visit) -> Response:
        name, text = project_page.project_csv(visit)
        return renderer.download(name, text)

    return _answer(app, renderer, show)


def _answer(
    app: Starlette, renderer: Renderer, show: Callable[[Visit], Response]
) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        try:
            with app.state.database.read() as connection:
                session = request.cookies.get(SESSION_COOKIE, "")
                visit = Visit(
                    connection,
                    request.path_params,
                    request.query_params,
                    Urls("", app.state.signer),
                    app.state.blobs,
                    changing.make_token(app.state.signer, session),
                )
                return show(visit)
        except NotFoundError as error:
            return renderer.page("missing.html", 404, heading="Not found", reason=str(error))
        except ClientError as error:
            return renderer.page("missing.html", 400, heading="Not like this", reason=str(error))

    return answer
