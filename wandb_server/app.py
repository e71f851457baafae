"""The ASGI application: what is answered where, and how faults are told."""

import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from wandb_server import faults, paths
from wandb_server.auth import Signer
from wandb_server.blobs import BlobStore, DigestMismatchError
from wandb_server.bodies import TooLargeError, read_body
from wandb_server.database import Database
from wandb_server.errors import BusyError, ClientError, LostFileError, NotFoundError, StorageError
from wandb_server.filestream import apply_post, read_post
from wandb_server.graphql_endpoint import GraphQLEndpoint
from wandb_server.guard import Guard
from wandb_server.presence import IsGone, stay, watch
from wandb_server.threads import in_thread
from wandb_server.transfers import Transfers
from wandb_server.urls import Urls
from wandb_server.version import VERSION

_log = logging.getLogger(__name__)


def create_app(data_dir: Path, api_key: str, public_url: str | None = None) -> Starlette:
    """Make the application that serves one data folder.

    `app.state` holds `database`, `blobs` and `signer` for the pages.

    Args:
        data_dir: Folder of the database and the files; made if it doesn't exist. Only one
            process at a time may serve it.
        api_key: What clients must send, as `Basic api:<key>`.
        public_url: What clients from elsewhere call the server, if not by an address of its own.

    Raises:
        NewerDatabaseError: A newer program wrote the folder.
        StorageError, OSError: The folder can't be read or written.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(data_dir / paths.DATABASE)
    blobs = BlobStore(data_dir / paths.BLOBS)
    blobs.clear_incoming()
    signer = Signer(api_key)
    app = Starlette(
        routes=_routes(database, blobs, signer),
        middleware=[Middleware(Guard, api_key=api_key, signer=signer, public_url=public_url)],
        exception_handlers={
            DigestMismatchError: _answer_mismatch,
            TooLargeError: _answer_too_large,
            NotFoundError: _answer_not_found,
            ClientError: _answer_client_error,
            LostFileError: _answer_lost,
            BusyError: _answer_busy,
            StorageError: _answer_storage_error,
            OSError: _answer_storage_error,
            ClientDisconnect: _answer_disconnect,
            # A number or text that no column can hold, or JSON that is nested too deep.
            OverflowError: _answer_unstorable,
            UnicodeEncodeError: _answer_unstorable,
            RecursionError: _answer_unstorable,
            Exception: _answer_fault,
        },
        lifespan=lambda app: _closing(database),  # noqa: ARG005  Starlette passes the app
    )
    app.state.database, app.state.blobs, app.state.signer = database, blobs, signer
    app.state.data_dir, app.state.last_fault = data_dir, None
    return app


def _routes(database: Database, blobs: BlobStore, signer: Signer) -> Sequence[BaseRoute]:
    graphql = GraphQLEndpoint(database, blobs)
    transfers = Transfers(database, blobs, signer)

    async def answer_graphql(request: Request) -> Response:
        return await graphql.answer(request, Urls(_base_url(request), signer))

    async def take_post(request: Request) -> Response:
        body = await read_body(request.stream())
        post = read_post(body, request.headers.get("content-encoding", ""))
        path = tuple(request.path_params[part] for part in ("entity", "project", "run"))
        writer = request.headers.get("x-wandb-async-client-id", "")
        return JSONResponse(
            await in_thread(_store_post, database, path, post, writer, watch(request))
        )

    return [
        Route("/healthz", _answer_health),
        Route(faults.PATH, _tell_last_fault),
        Route("/graphql", answer_graphql, methods=["POST"]),
        Route("/files/{entity}/{project}/{run}/file_stream", take_post, methods=["POST"]),
        Route("/upload/blob/{digest}", transfers.upload_blob, methods=["PUT"]),
        Route("/upload/part/{digest}/{number}/{part}", transfers.upload_part, methods=["PUT"]),
        Route("/upload/run/{run}/{name:path}", transfers.upload_run_file, methods=["PUT"]),
        Route("/download/{digest}/{name}", transfers.download),
        Route("/download/{digest}/{name}", transfers.allow_own_pages, methods=["OPTIONS"]),
        Route(
            "/artifactsV2/{region}/{entity}/{project}/{collection}/{birth}/{digest}/{name}",
            transfers.download_by_digest,
        ),
    ]


def _store_post(
    database: Database,
    path: tuple[str, str, str],
    post: dict[str, Any],
    writer: str,
    is_gone: IsGone,
) -> dict[str, Any]:
    with database.write() as connection:
        stay(is_gone)
        return apply_post(connection, path, post, writer)


def _base_url(request: Request) -> str:
    """Give the address that the client reached this server under, to build others from."""
    return f"{request.scope['scheme']}://{request.headers['host']}"


@asynccontextmanager
async def _closing(database: Database) -> AsyncIterator[None]:
    yield
    database.close()


async def _answer_health(_request: Request) -> Response:
    return JSONResponse({"service": "wandb_server", "version": VERSION})


async def _answer_client_error(_request: Request, error: Exception) -> Response:
    return _error(400, error)


async def _answer_unstorable(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": f"a value can't be stored: {error}"}, 400)


async def _answer_not_found(_request: Request, error: Exception) -> Response:
    return _error(404, error)


async def _answer_mismatch(_request: Request, error: Exception) -> Response:
    # Not repeated by the SDK: the file changed after it was hashed, or the sender is broken.
    return _error(422, error)


async def _answer_lost(request: Request, error: Exception) -> Response:
    """Answer what won't come back: the SDK repeats most of the 5xx for twenty minutes."""
    _log.error("%s %s: %s", request.method, request.url.path, error)
    return _error(410, error)


async def _answer_too_large(_request: Request, error: Exception) -> Response:
    return _error(413, error)


async def _answer_storage_error(request: Request, error: Exception) -> Response:
    """Answer what may pass, such as a full disk, so that the SDK tries again."""
    message = paths.unusable(request.app.state.data_dir, error)
    request.app.state.last_fault = faults.Fault(time.time(), message)
    _log.error("%s %s: %s", request.method, request.url.path, message)
    return JSONResponse({"error": message}, 503)


async def _tell_last_fault(request: Request) -> Response:
    fault = request.app.state.last_fault
    return JSONResponse(fault._asdict() if fault else None)


async def _answer_busy(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 503, {"Retry-After": "2"})


async def _answer_disconnect(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it


async def _answer_fault(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return JSONResponse({"error": f"the server failed: {type(error).__name__}"}, 500)


def _error(status: int, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status)
