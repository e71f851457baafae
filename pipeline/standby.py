"""Steps that are forked from a process in which their libraries are imported.

Imports are half of what a step takes, and there is a second core while another step works. So for
each environment a process, its fork server, imports what the environment's steps imported when they
last ran there, or, before the first run there, what their files ask for. In a step's turn it forks,
and the child is the step. Steps with the same environment have one fork server, as have the trials
of a sweep, whichever of its processes runs them.

Only what is installed in the environment is imported before a step's turn. Its own files are read
in its turn, as without this. Where processes can't fork safely, nothing of this is done.
"""

import json
import os
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any

from pipeline import leash
from pipeline.standby_process import ENDED, INTERRUPT, KILL, LENGTH

# Elsewhere, system libraries use threads from their first moment on.
IS_POSSIBLE = sys.platform == "linux"
_PROCESS = Path(__file__).with_name("standby_process.py")
_STANDARD_FILES = (0, 1, 2)
_WAITING = 64  # connections that wait for an answer
# Seconds before the leash ends a fork server whose pipeline is gone.
_AHEAD_OF_LEASH = 2


@dataclass
class Turn:
    """A step at work: what `leash.Group` is to a process that this one has started.

    Attributes:
        channel: Connection to the fork server.
        server: The fork server, if this process has started it.
        when_over: Called when its end is known.
    """

    channel: socket.socket
    server: leash.Group | None
    when_over: Callable[[], None]
    _answers: BufferedReader = field(init=False)
    _process: int | None = None

    def __post_init__(self) -> None:
        """Listen to the fork server."""
        self._answers = self.channel.makefile("rb")

    def wait(self) -> int:
        """Wait for the end of the step; return the exit code, negative for a signal.

        A signal may interrupt it; then it can be called again.
        """
        while said := self._hear():
            what, number = said
            if what == ENDED:
                return number
            self._process = number
        if self._process is None:  # no fork, perhaps since the environment can't be entered
            return self.server.wait() if self.server else -signal.SIGKILL
        with suppress(ProcessLookupError):
            os.killpg(self._process, signal.SIGKILL)  # or the step would go on alone
        return -signal.SIGKILL

    def _hear(self) -> tuple[str, int] | None:
        """Return what the fork server tells next; None if it is gone."""
        with suppress(ConnectionError):
            if words := self._answers.readline().decode().split():
                return words[0], int(words[1])
        return None

    def interrupt(self) -> None:
        """Send Ctrl-C to the step; what is left of its group when it has ended is killed."""
        self._say(INTERRUPT)

    def kill(self) -> None:
        """Kill the step and all that is left of its group."""
        self._say(KILL)

    def _say(self, said: bytes) -> None:
        with suppress(OSError):  # the step has ended
            self.channel.sendall(said)

    def release(self) -> None:
        """Let go of it after its work has ended."""
        self._answers.close()
        self.channel.close()
        self.when_over()


def start(
    path: Path,
    folder: Path,
    activation: Sequence[str],
    variables: Mapping[str, str],
    request: Mapping[str, Any],
    is_turn: bool,
) -> tuple[leash.Group, socket.socket]:
    """Start a fork server, and send it its first request.

    Args:
        path: Where its socket will be; nobody answers there.
        folder: Where it runs.
        activation: Shell commands that enter its environment.
        variables: Environment variables that it gets, before these commands.
        request: See `ask`.
        is_turn: See `ask`.

    Returns:
        The fork server, and the connection, on which it answers.

    Raises:
        OSError: It can't be started.
    """
    path.unlink(missing_ok=True)  # of one that was killed
    settings = os.memfd_create("variables")
    with socket.socket(socket.AF_UNIX) as listener, os.fdopen(settings, "r+b") as file:
        with short(path) as name:
            listener.bind(name)
        listener.listen(_WAITING)
        file.write(json.dumps(dict(variables)).encode())
        file.seek(0)
        passed = [listener.fileno(), settings]
        grace = leash.GRACE - _AHEAD_OF_LEASH
        words = ["python", "-P", _PROCESS, passed[0], path, passed[1], grace]
        command = " && ".join([*activation, f"exec {shlex.join(map(str, words))}"])
        group = leash.start(command, folder, variables, passed)
        # It may end at once; as long as this process listens as well, nothing is refused.
        return group, ask(path, request, is_turn)


def ask(path: Path, request: Mapping[str, Any], is_turn: bool) -> socket.socket:
    """Send a request to a fork server; return the connection, on which it answers.

    Args:
        path: Its socket.
        request: See `pipeline.standby_process`.
        is_turn: Whether a step is to be forked, with this process's standard files.

    Raises:
        FileNotFoundError: There is no fork server.
        ConnectionRefusedError: It was killed.
    """
    text = json.dumps(request).encode()
    length = len(text).to_bytes(LENGTH)
    channel = socket.socket(socket.AF_UNIX)
    try:
        with short(path) as name:
            channel.connect(name)
        # Who waits for the answer gets to know of a fork server that ends meanwhile.
        with suppress(ConnectionError):
            socket.send_fds(channel, [length], _STANDARD_FILES if is_turn else ())
            channel.sendall(text)
    except OSError:
        channel.close()
        raise
    return channel


@contextmanager
def short(path: Path) -> Iterator[str]:
    """Give a short name to a socket: the system takes no more than 107 bytes (man 7 unix)."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
