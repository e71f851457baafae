"""Serves a data folder and writes down when each request began and ended.

`python -m benchmarks.server.timed_server <folder> <key> <journal>` prints its port first. The
journal gets a line a request: method, path, begin and end in seconds.
"""

import sys
import time
from pathlib import Path
from typing import TextIO

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from wandb_server import process
from wandb_server.app import create_app
from wandb_server.web import settings


class Timed:
    """Notes the requests of an application, from their headers to the end of their answer."""

    def __init__(self, app: ASGIApp, journal: TextIO) -> None:
        self._app = app
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request and note when it began and ended."""
        began = time.perf_counter()
        await self._app(scope, receive, send)
        if scope["type"] == "http":
            ended = time.perf_counter()
            self._journal.write(f"{scope['method']} {scope['path']} {began} {ended}\n")


def main(folder: Path, key: str, journal: Path) -> None:
    """Serve until the process is ended."""
    listener = process.bind(0)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    with journal.open("w", buffering=1) as file:
        app = Timed(create_app(folder, key), file)
        uvicorn.Server(settings(app)).run(sockets=[listener])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
