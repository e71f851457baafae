"""The server that the SDK's own tests run against: the application, and users made on demand.

The tests make themselves a user each through a "fixture service", and use its name as API key.
Here that service is a part of the server: a user is an entity of its own. Nothing of this is in
`wandb_server`: without it there is one user and one key.
"""

import argparse
import base64
import secrets
import socket
import sys
from pathlib import Path

import uvicorn
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from wandb_server.app import create_app
from wandb_server.graphql_endpoint import USER_SCOPE
from wandb_server.web import settings

_HEALTH = {"/ready", "/health"}


class ManyUsers:
    """ASGI application that knows further users, by keys that are their names."""

    def __init__(self, app: ASGIApp, api_key: str) -> None:
        self._app = app
        self._authorization = _basic(api_key)
        self._users: dict[str, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make a user, or pass a request on as the user whose key it carries."""
        if scope["type"] == "http" and scope["path"] in _HEALTH:
            await Response("ok")(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == "/db/user":
            await (await self._make_user(Request(scope, receive)))(scope, receive, send)
        elif scope["type"] == "http" and scope["path"].startswith("/db/"):
            refusal = JSONResponse({"error": "there are no teams and organizations here"}, 501)
            await refusal(scope, receive, send)
        else:
            await self._app(self._as_user(scope), receive, send)

    async def _make_user(self, request: Request) -> Response:
        command = await request.json()
        if command["command"] == "up":
            self._users[_basic(command["username"])] = command["username"]
        return JSONResponse({})

    def _as_user(self, scope: Scope) -> Scope:
        if scope["type"] != "http":
            return scope
        headers = MutableHeaders(scope=scope)
        user = self._users.get(headers.get("authorization", ""))
        if user is None:
            return scope
        headers["authorization"] = self._authorization
        return {**scope, "headers": headers.raw, USER_SCOPE: user}


def _basic(key: str) -> str:
    return "Basic " + base64.b64encode(f"api:{key}".encode()).decode()


def main() -> None:
    """Serve a data folder on a free port, printed first, until ended."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, help="the data folder")
    folder = parser.parse_args().folder
    key = secrets.token_hex(20)
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(settings(ManyUsers(create_app(folder, key), key))).run(sockets=[listener])


if __name__ == "__main__":
    main()
