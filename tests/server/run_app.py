"""Serves a data folder, with faults to order. Prints its port once it listens."""

import argparse
import hashlib
import resource
import socket
import sys
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wandb_server.app import create_app
from wandb_server.pages.routes import add_pages
from wandb_server.web import settings


class Lossy:
    """Answers each request by 503 when it comes for the first time, although it was processed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._seen: set[bytes] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = b""

        async def listen() -> Message:
            nonlocal body
            message = await receive()
            body += message.get("body", b"")
            return message

        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        await self._app(scope, listen, keep)
        # Tokens in addresses change, paths and bodies don't.
        request = hashlib.sha256(f"{scope['method']} {scope['path']} ".encode() + body).digest()
        if request not in self._seen and answer[0]["status"] == 200:
            self._seen.add(request)
            answer = [
                {"type": "http.response.start", "status": 503, "headers": [(b"retry-after", b"0")]},
                {"type": "http.response.body", "body": b"lost"},
            ]
        for message in answer:
            await send(message)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("key")
    parser.add_argument("port", type=int, help="0 takes a free one")
    parser.add_argument(
        "--largest-file", type=int, help="bytes; writes beyond fail, as on a full disk"
    )
    parser.add_argument("--lossy", action="store_true", help="lose each first answer")
    options = parser.parse_args()
    app = add_pages(create_app(options.folder, options.key))
    listener = socket.create_server(("127.0.0.1", options.port))
    if options.largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (options.largest_file,) * 2)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(settings(Lossy(app) if options.lossy else app)).run(sockets=[listener])


if __name__ == "__main__":
    main()
