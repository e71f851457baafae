"""Uploads and downloads: bytes in and out, past the database, behind signed addresses."""

import mimetypes
from pathlib import PurePosixPath

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from wandb_server.auth import Signer
from wandb_server.blobs import BlobStore
from wandb_server.connection import body_of
from wandb_server.database import Database
from wandb_server.errors import LostFileError, NotFoundError
from wandb_server.names import check_file_path
from wandb_server.parts import Part, receive_part
from wandb_server.presence import IsGone, stay, watch
from wandb_server.run_files import put_file
from wandb_server.runs import get_run
from wandb_server.threads import in_thread
from wandb_server.urls import NO_DIGEST, subject

# What a run or an artifact holds may be a web page: it must not act in this server's name.
# It is shown as its author made it, with styles and images of its own, but loads nothing.
_HEADERS = {
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
        "media-src 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, max-age=3600",
}

_PIECE = 1 << 20  # bytes; a file below this is read at once


class _Download(FileResponse):
    """A file, read in larger pieces than 64 kB: each costs a turn of the thread pool."""

    chunk_size = _PIECE


class _Range(FileResponse):
    """A part of a file: clients ask for many at once, so each takes less memory."""

    chunk_size = 1 << 18


class Transfers:
    """Takes and gives files."""

    def __init__(self, database: Database, blobs: BlobStore, signer: Signer) -> None:
        self._database = database
        self._blobs = blobs
        self._signer = signer

    async def upload_blob(self, request: Request) -> Response:
        """Take the content of an artifact's file or manifest, if it is the announced one."""
        digest = str(request.path_params["digest"])
        if not self._allowed(request, "PUT"):
            return _forbidden()
        self._blobs.path(digest)
        # Its name is settled together with all others of its version, when that is committed.
        await self._blobs.receive(body_of(request), digest, settled=False)
        return _stored(digest)

    async def upload_part(self, request: Request) -> Response:
        """Take one part of a large file, if it is the announced one."""
        if not self._allowed(request, "PUT") or not _is_number(request.path_params["number"]):
            return _forbidden()
        part = Part(int(request.path_params["number"]), request.path_params["part"])
        upload = request.path_params["digest"]
        await receive_part(self._blobs, body_of(request), upload, part)
        return _stored(part.digest)

    async def upload_run_file(self, request: Request) -> Response:
        """Take a file of a run; what it held before is replaced."""
        if not self._allowed(request, "PUT") or not _is_number(request.path_params["run"]):
            return _forbidden()
        run_id = int(request.path_params["run"])
        name = check_file_path("run file", request.path_params["name"])
        digest, size = await self._blobs.receive(body_of(request), None)
        await in_thread(self._record, run_id, name, digest, size, watch(request))
        return _stored(digest)

    async def download(self, request: Request) -> Response:
        """Give a blob under a file name, whole or the asked-for range."""
        if not self._allowed(request, "GET"):
            return _forbidden()
        if request.path_params["digest"] == NO_DIGEST:
            raise NotFoundError(f"there is no file {request.path_params['name']!r}")
        return await self._send(request)

    async def allow_own_pages(self, request: Request) -> Response:
        """Tell a browser that this server's own pages, and no others, may read downloads."""
        origin = str(request.base_url).rstrip("/")
        return Response(status_code=204, headers={"Access-Control-Allow-Origin": origin})

    async def download_by_digest(self, request: Request) -> Response:
        """Give a blob to a client with the key; the SDK asks so when `download` fails."""
        return await self._send(request)

    def _record(self, run_id: int, name: str, digest: str, size: int, is_gone: IsGone) -> None:
        with self._database.write() as connection:
            stay(is_gone)
            put_file(connection, get_run(connection, run_id).id, name, digest, size)

    async def _send(self, request: Request) -> Response:
        digest, name = request.path_params["digest"], request.path_params["name"]
        if not self._blobs.is_checked(digest):
            await in_thread(self._check, digest, name)
        path = self._blobs.path(digest)
        media_type = mimetypes.guess_type(PurePosixPath(name).name)[0] or "application/octet-stream"
        size = self._blobs.size(digest)
        is_whole = request.method == "GET" and "range" not in request.headers
        if is_whole and size is not None and size < _PIECE:
            # One turn of the thread pool rather than four, which counts for 10,000 files.
            content = await in_thread(path.read_bytes)
            headers = {**_HEADERS, "ETag": f'"{digest}"', "Accept-Ranges": "bytes"}
            return Response(content, headers=headers, media_type=media_type)
        kind = _Range if "range" in request.headers else _Download
        return kind(path, headers=_HEADERS, media_type=media_type)

    def _check(self, digest: str, name: str) -> None:
        try:
            self._blobs.check(digest)
        except LostFileError as error:
            raise LostFileError(
                f"{name!r} is lost: {error}. `python -m wandb_server check` shows the damage."
            ) from error

    def _allowed(self, request: Request, method: str) -> bool:
        token = request.query_params.get("token", "")
        return self._signer.verify(subject(method, request.scope["path"]), token)


def _stored(digest: str) -> Response:
    return Response(status_code=200, headers={"ETag": f'"{digest}"'})


def _is_number(text: str) -> bool:
    """Tell whether a part of an address is a number that an address of this server may hold."""
    return text.isascii() and text.isdecimal() and len(text) < len(str(2**63))


def _forbidden() -> Response:
    return Response(
        "This address was made for another file, or has expired. Ask for a new one.",
        status_code=403,
        media_type="text/plain",
    )
