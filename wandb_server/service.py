"""Start, find and stop the server of a data folder, from any process.

The truth about "is it running" is a lock of the operating system that the server holds
for its whole life, and a proof on `/healthz` that only this folder's server can give.
Files that a dead server left behind are never believed.
"""

import getpass
import os
import signal
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from wandb_server import health, idle, locks, paths
from wandb_server.auth import Signer
from wandb_server.health import Health
from wandb_server.keys import load_or_create_key, replace_key
from wandb_server.server_error import ServerError
from wandb_server.version import API_VERSION, VERSION

ENTITY = "local"  # the one account there is
SIGN_IN = "sign in"  # what the token of a sign-in link allows
SIGN_IN_SECONDS = 600

# A server that is asked to stop lets requests in flight end, for this long.
GRACE_SECONDS = 60
# What suits a server on this machine, unless the user has chosen otherwise.
_PREFERRED = {
    # Pages that follow a run look every three seconds; the SDK sends every fifteen by itself.
    "WANDB_X_FILE_STREAM_TRANSMIT_INTERVAL": "3",
    # A run keeps its program, and what differed from the commit. Neither leaves the machine.
    "WANDB_SAVE_CODE": "true",
}
_START_SECONDS = 30.0  # on a machine that is busy with other things
_PAUSE = 0.05  # seconds between two looks at a server that starts or stops


class Server(NamedTuple):
    """A server that runs, and what a client needs to use it."""

    base_url: str
    api_key: str
    data_dir: Path
    health: Health

    def __repr__(self) -> str:
        """Show all but the key, which would end up in logs."""
        return f"Server({self.base_url}, data_dir={self.data_dir}, pid={self.health.pid})"

    def sign_in_url(self, path: str = "/") -> str:
        """Make a link that signs a browser in; it holds for ten minutes.

        Args:
            path: Page to show then, from the root: "/local/songs".

        Returns:
            An absolute URL.
        """
        token = Signer(self.api_key).sign(SIGN_IN, SIGN_IN_SECONDS)
        return f"{self.base_url}/signin?{urlencode({'token': token, 'next': path})}"

    def environment(self) -> dict[str, str]:
        """Give the environment variables that point the wandb SDK to this server.

        Returns:
            Values by variable name.
        """
        variables = {
            "WANDB_BASE_URL": self.base_url,
            "WANDB_API_KEY": self.api_key,
            "WANDB_ENTITY": ENTITY,
            "WANDB_ERROR_REPORTING": "false",  # else the SDK asks the server to take telemetry
        }
        preferred = _PREFERRED | _name_user()
        variables |= {name: value for name, value in preferred.items() if name not in os.environ}
        # The SDK would send requests for this very machine through a proxy.
        if any(os.environ.get(name) for name in ("HTTP_PROXY", "http_proxy")):
            past = os.environ.get("NO_PROXY") or os.environ.get("no_proxy")
            direct = f"{past},{health.HOST}" if past else health.HOST
            variables |= {"NO_PROXY": direct, "no_proxy": direct}
        return variables


def _name_user() -> dict[str, str]:
    """Return the SDK's variable for who uses it: the server's one user may be several people."""
    try:
        return {"WANDB_USERNAME": getpass.getuser()}
    except (KeyError, OSError):  # a number without a name, as in some containers
        return {}


def ensure_running(port: int | None = None, idle_hours: float | None = None) -> Server:
    """Give the server of the data folder, and start it if it doesn't run.

    Any number of processes may call this at the same moment: they get the same server. It
    outlives its caller and ends by itself after some hours without a request.

    Args:
        port: Port to start on; None takes the last one, or a free one if that is taken.
            A server that runs already keeps its port.
        idle_hours: Hours without a request after which a server started here ends; None
            takes WANDB_SERVER_IDLE_HOURS, or 12.

    Returns:
        The running server.

    Raises:
        ServerError: The data folder can't be used, the server didn't start or doesn't
            answer, or one of a newer program runs.
    """
    idle_seconds = 3600 * (idle_hours if idle_hours is not None else idle.default_hours())
    folder = paths.data_dir()
    paths.prepare(folder)
    key = load_or_create_key(folder)
    server = find(folder, key)
    if server and server.health.api_version == API_VERSION:
        return server
    with paths.folder_errors(folder), locks.held(folder / paths.START_LOCK, 2 * _START_SECONDS):
        server = _drop_outdated(find(folder, key))
        return server or _start(folder, key, port, idle_seconds)


def running() -> Server | None:
    """Find the server of the data folder, if it runs.

    Returns:
        The server, or None.

    Raises:
        ServerError: The data folder can't be read, or its server runs but doesn't answer.
    """
    folder = paths.data_dir()
    with paths.folder_errors(folder):
        if not locks.is_taken(folder / paths.SERVER_LOCK):
            return None
        return _await_answer(folder, load_or_create_key(folder))


def stop() -> bool:
    """Stop the server of the data folder and wait until requests in flight have ended.

    Returns:
        Whether one ran.

    Raises:
        ServerError: It doesn't answer, or hasn't ended in time.
    """
    server = running()
    if server is None:
        return False
    _end(server)
    return True


def rotate_key() -> Server | None:
    """Give the data folder a new key; a server that runs is started anew with it.

    Requests in flight end first. The old key, and all links and sessions made with it, are
    refused from then on.

    Returns:
        The new server, or None if none ran.

    Raises:
        ServerError: The data folder can't be used, or its server doesn't answer, end or start.
    """
    folder = paths.data_dir()
    paths.prepare(folder)
    # Else somebody could start a server with the old key in between.
    with paths.folder_errors(folder), locks.held(folder / paths.START_LOCK, 2 * _START_SECONDS):
        ran = stop()
        replace_key(folder)
    return ensure_running() if ran else None


def find(folder: Path, key: str) -> Server | None:
    """Look for the server where it last listened.

    Args:
        folder: The data folder.
        key: The folder's key.

    Returns:
        The server if it answers and proves that it is this folder's, else None.
    """
    port = last_port(folder)
    if port is None:
        return None
    answer = health.ask(port, key, locks.identity(folder / paths.SERVER_LOCK))
    return Server(f"http://{health.HOST}:{port}", key, folder, answer) if answer else None


def last_port(folder: Path) -> int | None:
    """Read the port that the folder's server listens on, or listened on last.

    Args:
        folder: The data folder.

    Returns:
        The port, or None if none is recorded or the record makes no sense.
    """
    try:
        port = int((folder / paths.PORT).read_text())
    except (FileNotFoundError, ValueError):
        return None
    return port if 0 < port < 65536 else None


def _drop_outdated(server: Server | None) -> Server | None:
    if server is None or server.health.api_version == API_VERSION:
        return server
    if server.health.api_version > API_VERSION:
        raise ServerError(
            f"version {server.health.version} of the local W&B server runs at "
            f"{server.base_url}, which is too new for this program ({VERSION}). Update this "
            "program, or stop that server by its own `python -m wandb_server stop`."
        )
    import logging  # a third of this module's import time, for a line that is rarely said

    logging.getLogger("wandb_server").warning(
        "Restarting the local W&B server: version %s runs, this is %s.",
        server.health.version,
        VERSION,
    )
    _end(server)
    return None


def _start(folder: Path, key: str, port: int | None, idle_seconds: float) -> Server:
    from wandb_server.launch import launch  # who finds a server running never needs it

    while True:
        server = _await_answer(folder, key)
        if server:
            return server
        said = launch(folder, port, idle_seconds, _START_SECONDS)
        server = find(folder, key)
        if server:
            return server
        if not locks.is_taken(folder / paths.SERVER_LOCK):
            raise ServerError(said or f"the server ended at its start, see {folder / paths.LOG}")


def _await_answer(folder: Path, key: str) -> Server | None:
    """Wait for a server that holds the lock: it is starting, ending, or very busy.

    Returns None when nobody holds the lock, or no longer.
    """
    deadline = time.monotonic() + _START_SECONDS
    while locks.is_taken(folder / paths.SERVER_LOCK):
        server = find(folder, key)
        if server:
            return server
        if time.monotonic() > deadline:
            raise ServerError(
                f"a server holds the data folder {folder} but hasn't answered for "
                f"{_START_SECONDS:.0f} seconds. Look into {folder / paths.LOG}, end that "
                f"process (`fuser {folder / paths.SERVER_LOCK}` shows it) and try again."
            )
        time.sleep(_PAUSE)
    return None


def _end(server: Server) -> None:
    """Ask a server, which has just proven to be this folder's, to end, and wait for it."""
    os.kill(server.health.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS + 5
    while locks.is_taken(server.data_dir / paths.SERVER_LOCK):
        if time.monotonic() > deadline:
            raise ServerError(
                f"the server (process {server.health.pid}) was asked to stop but hasn't "
                f"ended within {GRACE_SECONDS + 5} seconds. Look into "
                f"{server.data_dir / paths.LOG}."
            )
        time.sleep(_PAUSE)
