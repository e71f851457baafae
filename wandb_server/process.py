"""The server process: takes the lock, finds a port, serves until it is told or has no work.

`python -m wandb_server.process <data folder> <port or 0> <idle seconds>` is how
`service` starts it in the background; people use `python -m wandb_server serve`.
"""

import logging
import logging.handlers
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

from wandb_server import health, locks, paths
from wandb_server.errors import StorageError
from wandb_server.keys import load_or_create_key
from wandb_server.reach import ALL_IPV4, LOCAL, Reach, remember
from wandb_server.server_error import ServerError
from wandb_server.service import last_port

# The word "wand" on a telephone's keys: in nobody's list of well-known ports, and below
# the range that the system gives to outgoing connections.
PREFERRED_PORT = 9263

# Somebody who looks whether the lock is taken holds it for an instant.
_LOCK_SECONDS = 0.5
_LOG_BYTES = 2_000_000  # a full log file becomes server.log.1, and the one before that goes

logger = logging.getLogger("wandb_server")


def serve(
    folder: Path,
    port: int | None,
    idle_seconds: float,
    when_ready: Callable[[str], None],
    beyond: Reach = LOCAL,
) -> None:
    """Serve a data folder until a signal, or until there was no request for a while.

    Args:
        folder: The data folder; it exists.
        port: Port to listen on; None takes the last one, or a free one if that is taken.
        idle_seconds: Seconds without a request after which it ends.
        when_ready: Called with the base URL when requests are answered.
        beyond: From where it can be reached besides 127.0.0.1.

    Raises:
        ServerError: Another server has the folder, the port is taken, or the folder can't
            be used.
        KeyboardInterrupt: Ctrl-C was pressed; requests in flight have ended.
        SystemExit: The process was asked to end (SIGTERM); requests in flight have ended.
    """
    signal.signal(signal.SIGTERM, _exit)
    os.umask(0o077)
    with paths.folder_errors(folder):
        lock = locks.take(folder / paths.SERVER_LOCK, _LOCK_SECONDS)
    if lock is None:
        raise ServerError(
            f"a server runs already for the data folder {folder}: `python -m wandb_server "
            "status` shows where, `python -m wandb_server stop` ends it."
        )
    try:
        with listen(folder, port, beyond.host) as listeners:
            _serve_on(listeners, folder, idle_seconds, when_ready, beyond)
    except (OSError, StorageError) as error:
        raise ServerError(paths.unusable(folder, error)) from error
    finally:
        os.close(lock)


@contextmanager
def listen(
    folder: Path, port: int | None, host: str | None = None
) -> Iterator[list[socket.socket]]:
    """Open the port to serve on: on the loopback address, and on another one if that is given.

    Args:
        folder: The data folder, which remembers the last port.
        port: The port that was asked for; None leaves the choice to the server.
        host: The other address, in numbers.

    Yields:
        Listening sockets.

    Raises:
        ServerError: The port that was asked for is taken or not allowed, or the other address
            isn't one of this machine.
    """
    # All of IPv4 holds the loopback address; nothing else that can be given does.
    first = host if host == ALL_IPV4 else health.HOST
    with ExitStack() as stack:
        listeners = [stack.enter_context(_listen_first(folder, port, first))]
        if host not in (None, first):
            listeners.append(stack.enter_context(_listen_too(host, listeners[0].getsockname()[1])))
        yield listeners


def _listen_first(folder: Path, port: int | None, host: str) -> socket.socket:
    if port is None:
        return _listen_anywhere(last_port(folder) or PREFERRED_PORT, host)
    try:
        return bind(port, host)
    except OSError as error:
        raise ServerError(
            f"port {port} can't be used: {error.strerror}. Choose another by --port, or "
            "leave --port out to take a free one."
        ) from error


def _listen_anywhere(preferred: int, host: str) -> socket.socket:
    try:
        return bind(preferred, host)
    except OSError as error:
        logger.info("Taking another port than %d: %s", preferred, error.strerror)
        return bind(0, host)


def _listen_too(host: str, port: int) -> socket.socket:
    try:
        return bind(port, host)
    except OSError as error:
        raise ServerError(
            f"can't listen on port {port} of {host}: {error.strerror}. Give --host an address "
            "that this machine has, or choose another port by --port."
        ) from error


def bind(port: int, host: str = health.HOST) -> socket.socket:
    """Take a port of an address, or a free one for 0, and listen there.

    Raises:
        OSError: It is taken, or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle's algorithm on, and each answer waits for the delayed
    # acknowledgement of its head: 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # Else the port would be refused for a minute after the last server's end.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # IPv4 has a listener of its own
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        # Only this tells two servers apart that start at once: both may bind the address.
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def _serve_on(
    listeners: list[socket.socket],
    folder: Path,
    idle_seconds: float,
    when_ready: Callable[[str], None],
    beyond: Reach,
) -> None:
    # The web stack takes most of the start: whoever finds the lock taken never loads it.
    from wandb_server.web import WebServer

    port: int = listeners[0].getsockname()[1]

    def ready() -> None:
        paths.replace_text(folder / paths.PORT, f"{port}\n")
        remember(folder, beyond.url(port))
        when_ready(f"http://{health.HOST}:{port}")

    key = load_or_create_key(folder)
    WebServer(folder, key, idle_seconds, ready, beyond.public_url).run(sockets=listeners)


def _exit(_signal: int, _frame: object) -> NoReturn:
    sys.exit(0)


class _BoundedLog(logging.handlers.RotatingFileHandler):
    """A log file of bounded size that also takes what is printed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=_LOG_BYTES, backupCount=1)
        self._take_output()

    def doRollover(self) -> None:  # noqa: N802  the standard library's name
        """Start a new file, and print there from now on."""
        super().doRollover()
        self._take_output()

    def _take_output(self) -> None:
        with Path(self.baseFilename).open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)


def _run_in_background(folder: Path, port: int | None, idle_seconds: float) -> None:
    def leave_caller(url: str) -> None:
        log = _BoundedLog(folder / paths.LOG)
        logging.basicConfig(
            handlers=[log], format="%(asctime)s %(levelname)s %(message)s", force=True
        )
        logger.warning("Process %d serves %s", os.getpid(), url)

    try:
        serve(folder, port, idle_seconds, leave_caller)
    except ServerError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    # The caller waits for the first process only, so no dead child is ever left to it.
    if os.fork():
        os._exit(0)
    _run_in_background(Path(sys.argv[1]), int(sys.argv[2]) or None, float(sys.argv[3]))
