"""The web server that runs the application: settings, `/healthz`, and the end of idle ones."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from wandb_server import health, locks, paths
from wandb_server.app import create_app
from wandb_server.connection import Connection
from wandb_server.health import Health
from wandb_server.keys import is_current
from wandb_server.pages.routes import add_pages
from wandb_server.service import GRACE_SECONDS
from wandb_server.version import API_VERSION, VERSION

_TICKS = 10  # uvicorn's ticks between two looks at the clock: one second


class WebServer(uvicorn.Server):
    """Serves one data folder until a signal, a time without requests, or the folder's end."""

    def __init__(
        self,
        folder: Path,
        key: str,
        idle_seconds: float,
        when_ready: Callable[[], None],
        public_url: str | None = None,
    ) -> None:
        """Build the application.

        Args:
            folder: The data folder; this process holds its lock.
            key: The folder's key.
            idle_seconds: Seconds without a request after which the server ends.
            when_ready: Called when requests are answered.
            public_url: See `create_app`.

        Raises:
            OSError: The folder can't be read or written.
            StorageError: The same, for the database.
        """
        self._folder = folder
        self._key = key
        self._identity = locks.identity(folder / paths.SERVER_LOCK)
        self._idle_seconds = idle_seconds
        self._when_ready = when_ready
        self._last_active = time.monotonic()
        self._requests_seen = 0
        self._about = Health(os.getpid(), VERSION, API_VERSION, time.time())
        self._app = add_pages(create_app(folder, key, public_url))
        super().__init__(settings(self._answer))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve, and say so."""
        await super().startup(sockets)
        self._when_ready()

    async def on_tick(self, counter: int) -> bool:
        """Tell, ten times a second, whether to end."""
        if await super().on_tick(counter):
            return True
        return counter % _TICKS == 0 and (self._is_idle() or self._is_orphan())

    def _is_idle(self) -> bool:
        state = self.server_state
        if state.tasks or state.total_requests != self._requests_seen:
            self._requests_seen = state.total_requests
            self._last_active = time.monotonic()
        return time.monotonic() - self._last_active > self._idle_seconds

    def _is_orphan(self) -> bool:
        """Tell whether the data folder or its key is gone: nobody could find this server again."""
        moved = locks.identity(self._folder / paths.SERVER_LOCK) != self._identity
        return moved or not is_current(self._folder, self._key)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer `/healthz` before the application, which would ask for the key."""
        if scope["type"] == "http" and scope["path"] == health.PATH:
            await self._answer_health(Request(scope))(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _answer_health(self, request: Request) -> Response:
        if self.should_exit:
            return JSONResponse({"status": "ending"}, 503)  # so that no caller relies on it
        nonce = request.query_params.get("nonce", "")
        return JSONResponse(health.answer(self._about, self._key, self._identity, nonce))


def settings(app: ASGIApp) -> uvicorn.Config:
    """Give the settings under which uvicorn serves an application."""
    return uvicorn.Config(
        app,
        interface="asgi3",
        loop="asyncio",
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,  # the process has set logging up
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing stands in between, so nobody's word is taken for it
        # The SDK posts every 15 s or so; closing a connection under it costs it seconds.
        timeout_keep_alive=120,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
