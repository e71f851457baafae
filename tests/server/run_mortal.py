"""Serves a data folder in a child process, which it kills and replaces for each line it reads.

The program and its socket stay, so that a server is back within milliseconds: what it needs is
imported once, and who connects meanwhile waits. Prints the port, then a line for each child.
"""

import asyncio
import gc
import os
import signal
import socket
import sys
from pathlib import Path
from typing import NoReturn

import uvicorn

from wandb_server.app import create_app
from wandb_server.web import settings


def main() -> None:
    folder, key = Path(sys.argv[1]), sys.argv[2]
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    _say(listener.getsockname()[1])
    gc.freeze()
    child = _start(listener, folder, key)
    for _ in sys.stdin:
        _kill(child)
        child = _start(listener, folder, key)
        _say(child)
    _kill(child)


def _start(listener: socket.socket, folder: Path, key: str) -> int:
    return os.fork() or _serve(listener, folder, key)


def _serve(listener: socket.socket, folder: Path, key: str) -> NoReturn:
    # It is never ended in any other way than by SIGKILL.
    asyncio.run(uvicorn.Server(settings(create_app(folder, key))).serve([listener]))
    os._exit(1)


def _kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
        sys.exit("a server ended by itself")


def _say(word: int) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
