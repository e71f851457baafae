"""Forks steps, with the libraries of their environment imported; run by that environment's Python.

`python -P standby_process.py <listening socket> <its path> <variables> <grace>`: the descriptor of
a Unix socket and the path that it is bound to, the descriptor of a file with the environment
variables that this process was started with, before its environment was entered, as JSON, and the
seconds that an interrupted step has to end. See `pipeline.standby`, whose process this is.

Who connects sends one request (see `receive`): the length of a JSON object in four bytes, and the
object. It names `folder` and `program` of a step, and `modules`, the file with the names of the
modules that the step is known to import. These are imported first. Then:

- A request without descriptors is answered by "ready".
- One with three descriptors, which become the step's standard files, also has `arguments` and
  `variables`, all of the step's environment variables. A child is forked and becomes the step. A
  line tells BEGUN and its process number, and in the end one tells ENDED and its exit code,
  negative for a signal.
  Meanwhile, INTERRUPT and KILL are taken from the other end. If that is gone, the step is
  interrupted, and killed if it doesn't end in time.

SIGINT or SIGTERM end this process once there is no step at work.

Nothing but the standard library is imported here: the environment is the step's.
"""

import ast
import atexit
import builtins
import contextlib
import fcntl
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NoReturn

HEARD = (signal.SIGINT, signal.SIGTERM)
INTERRUPT, KILL = b"i", b"k"
BEGUN, ENDED = "begun", "ended"
LENGTH = 4  # bytes, the most significant one first
# Below the system's temporary folder; held as long as the process or a child of it lives.
LOCK = "lock"
STANDBY_LOCKS = f"standby-*/{LOCK}"


def main(listener: str, path: str, variables: str, grace: str) -> None:
    """Serve requests until told to end; in a child, become the step."""
    outcome = Outcome()
    atexit.register(outcome.end_at_once)  # what is registered first is called last
    with os.fdopen(int(variables), encoding="utf-8") as file:
        before = json.load(file)
    with socket.socket(fileno=int(listener)) as listening:
        listening.set_inheritable(False)
        job = ForkServer(listening, Path(path), float(grace)).serve()
    outcome.keep(lambda: become(job, before))


@dataclass
class Outcome:
    """How a step's program has ended.

    Attributes:
        code: Its exit code; None if Python is to find that out.
    """

    code: int | None = None

    def keep(self, program: Callable[[], None]) -> None:
        """Call a program, and let what it raises pass."""
        try:
            program()
            self.code = 0
        except SystemExit as ended:
            code = ended.code
            self.code = code & 255 if isinstance(code, int) else int(code is not None)
            raise
        except Exception:
            self.code = 1
            raise

    def end_at_once(self) -> None:
        """End this process, rather than have Python take apart all that was imported.

        That takes up to half a second. Python itself ends what has left files open, whose last
        lines it may still hold.
        """
        if self.code is None or any(map(_is_written, Path("/proc/self/fd").iterdir())):
            return
        with contextlib.suppress(OSError, ValueError):  # Python's own end tells it
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self.code)


def _is_written(descriptor: Path) -> bool:
    """Tell whether a descriptor, but for the standard ones, is a file or a pipe for writing."""
    number = int(descriptor.name)
    with contextlib.suppress(OSError):  # that of the folder that was listed
        mode, flags = os.fstat(number).st_mode, fcntl.fcntl(number, fcntl.F_GETFL)
        is_file = stat.S_ISREG(mode) or stat.S_ISFIFO(mode)
        return number > 2 and is_file and flags & os.O_ACCMODE != os.O_RDONLY
    return False


@dataclass
class Job:
    """What a child is to do.

    Attributes:
        request: See above.
        is_afresh: Whether it can't use what was imported.
        known: Names of the modules that the step was known to import.
        imported: Names of those that were imported, for this step or another one.
        folders: Temporary folders that they made.
    """

    request: dict[str, Any]
    is_afresh: bool
    known: list[str]
    imported: frozenset[str]
    folders: "list[tempfile.TemporaryDirectory[str]]"


@dataclass
class Turn:
    """A step at work.

    Attributes:
        channel: Connection of whoever asked for it.
        process: Number of its process, which leads a group.
        ended: A descriptor that can be read once the process has ended.
        is_interrupted: Whether it was.
        deadline: When it is killed, on the monotonic clock.
    """

    channel: socket.socket
    process: int
    ended: int
    is_interrupted: bool = False
    deadline: float = float("inf")

    def interrupt(self) -> None:
        """Send Ctrl-C to the step alone: its helpers, wandb-core among them, end when it does."""
        self.is_interrupted = True
        os.kill(self.process, signal.SIGINT)

    def kill(self) -> None:
        """Kill all that is left of its group."""
        try:
            os.killpg(self.process, signal.SIGKILL)
        except ProcessLookupError:  # it doesn't lead its group yet
            os.kill(self.process, signal.SIGKILL)


@dataclass
class ForkServer:
    """The process that forks; its children do the work."""

    listener: socket.socket
    path: Path
    grace: float
    temporary: Path = field(default_factory=lambda: make_temporary())
    folders: list["tempfile.TemporaryDirectory[str]"] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    is_ending: bool = False

    def serve(self) -> Job:
        """Return a job, in a child that is to do it; the process itself ends in here."""
        for number in HEARD:
            signal.signal(number, self._hear)
        while self.turns or not self.is_ending:
            ready = self._wait()
            for turn in list(self.turns):
                self._attend(turn, ready)
            if self.listener in ready and not self.is_ending:
                job = self._answer()
                if job:
                    return job
        return self._end(0)

    def _hear(self, number: int, _: FrameType | None) -> None:
        self.is_ending = True
        if not self.turns:
            self._end(-number)
        leave(self.path)

    def _end(self, code: int) -> NoReturn:
        shutil.rmtree(self.temporary, ignore_errors=True)
        leave(self.path)
        end(code)

    def _wait(self) -> set[object]:
        """Return what has something to say: a socket, or the descriptor of a process."""
        waiting: list[Any] = [self.listener]
        for turn in self.turns:
            waiting += [turn.ended] if turn.deadline < float("inf") else [turn.ended, turn.channel]
        deadline = min((turn.deadline for turn in self.turns), default=float("inf"))
        left = None if deadline == float("inf") else max(0.0, deadline - time.monotonic())
        # A signal in here may ask to end, and then no request should be awaited any longer.
        return set(select.select(waiting, [], [], left)[0])

    def _attend(self, turn: Turn, ready: set[object]) -> None:
        if turn.ended in ready:
            self._conclude(turn)
        elif turn.channel in ready:
            said = hear(turn.channel)
            if said == KILL:
                turn.kill()
            else:
                turn.interrupt()
            if not said:
                turn.deadline = time.monotonic() + self.grace
        elif turn.deadline < time.monotonic():
            turn.kill()

    def _conclude(self, turn: Turn) -> None:
        """Tell how a step has ended, and let nothing of it live on that was to be stopped."""
        self.turns.remove(turn)
        if turn.is_interrupted:
            turn.kill()
        _, status = os.waitpid(turn.process, 0)
        os.close(turn.ended)
        tell(turn.channel, f"{ENDED} {os.waitstatus_to_exitcode(status)}")
        turn.channel.close()

    def _answer(self) -> Job | None:
        """Do what a connection asks for; return a job in a child that is to do it."""
        channel, _ = self.listener.accept()
        received = receive(channel)
        if received is None:
            channel.close()
            return None
        request, files = received
        known = self._preload(Path(request["modules"]), Path(request["folder"], request["program"]))
        if not files:
            tell(channel, "ready")
            channel.close()
            return None
        # Only the thread that forks lives on in a child.
        has_threads, modules = threading.active_count() > 1, frozenset(sys.modules)
        job = Job(request, has_threads, known, modules, self.folders)
        return job if self._fork(channel, files) else None

    def _fork(self, channel: socket.socket, files: Sequence[int]) -> bool:
        """Make a child with standard files; True in it."""
        signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
        process = os.fork()
        if process:
            for file in files:
                os.close(file)
            self.turns.append(Turn(channel, process, os.pidfd_open(process)))
            tell(channel, f"{BEGUN} {process}")
        else:
            os.setsid()
            for number, file in enumerate(files):
                os.dup2(file, number)
                os.close(file)
            channel.close()
            for turn in self.turns:
                turn.channel.close()
                os.close(turn.ended)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)
        return not process

    def _preload(self, modules: Path, program: Path) -> list[str]:
        """Import what a program is known to import; return the names."""
        tempfile.tempdir = str(self.temporary)
        names = read_names(modules) or find_names(program)
        self.folders += preload(names)
        tempfile.tempdir = None
        return names


def receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return a request and the descriptors that came with it; None if who asked is gone."""
    with contextlib.suppress(ConnectionError):
        length, files, _, _ = socket.recv_fds(channel, LENGTH, 3)
        wanted = int.from_bytes(length)
        text = channel.recv(wanted, socket.MSG_WAITALL)
        if wanted and len(text) == wanted:
            return json.loads(text), files
        for file in files:
            os.close(file)
    return None


def hear(channel: socket.socket) -> bytes:
    """Return what the other end says; nothing if it is gone."""
    try:
        return channel.recv(1)
    except ConnectionError:
        return b""


def tell(channel: socket.socket, said: str) -> None:
    """Send a line, if there is still somebody who hears it."""
    with contextlib.suppress(ConnectionError):
        channel.sendall(f"{said}\n".encode())


def leave(path: Path) -> None:
    """Remove a socket, and the folder that it is in, a `make_temporary`, after all who used it."""
    path.unlink(missing_ok=True)
    home = path.parent
    with contextlib.suppress(FileNotFoundError, BlockingIOError), (home / LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not any(home.glob("*.socket")):
            shutil.rmtree(home)


def make_temporary() -> Path:
    """Make a folder with a lock, so that all can tell whether this process or a child uses it."""
    folder = Path(tempfile.mkdtemp(prefix=".standby-"))
    lock = os.open(folder / LOCK, os.O_RDONLY | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return folder.rename(folder.with_name(folder.name.removeprefix(".")))


def end(code: int) -> NoReturn:
    """End this process with an exit code, or by a signal if it is negative.

    Python's own end would look for garbage in all that was imported.
    """
    if code < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no handler, and so none to take back
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(abs(code))


def preload(names: Iterable[str]) -> "list[tempfile.TemporaryDirectory[str]]":
    """Import modules, and spare children the search for garbage in them.

    Returns:
        The temporary folders that they made.
    """
    gc.disable()
    for name in names:
        if name not in sys.modules:
            # It may have left the environment since; a program that needs it will say so.
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    made = [made for made in gc.get_objects() if isinstance(made, tempfile.TemporaryDirectory)]
    gc.freeze()  # what is frozen isn't among the objects the next time
    gc.enable()
    return made


def renew(folder: "tempfile.TemporaryDirectory[str]") -> None:
    """Make another folder in its place, and leave the one that it had alone."""
    folder._finalizer.detach()  # type: ignore[attr-defined]  # there is no other way to it
    tempfile.TemporaryDirectory.__init__(folder)


def become(job: Job, before: dict[str, str]) -> None:
    """Do what `python <program> <arguments>` does in the step's folder.

    Args:
        job: What is to be done.
        before: Environment variables that the process was started with.
    """
    request = job.request
    wanted = request["variables"]
    for name in before.keys() | wanted.keys():
        if before.get(name) == wanted.get(name):
            continue  # it stays as it is, or as the environment has it
        if name in wanted:
            os.environ[name] = wanted[name]
        else:
            os.environ.pop(name, None)
    os.chdir(request["folder"])
    # What `top` and `ps -o comm` call it; else it would have the name of the process that forked.
    Path("/proc/self/comm").write_text(Path(request["folder"]).name)
    words = [request["program"], *request["arguments"]]
    if job.is_afresh:
        os.execv(sys.executable, [sys.executable, *words])  # noqa: S606  # needs no shell
    # wandb makes a folder for media when it is imported, and removes it when it ends. So the end of
    # one child would remove it for all, if each hadn't one of its own.
    for folder in job.folders:
        renew(folder)
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()  # or each child would draw the same numbers
    path = Path(request["program"]).absolute()
    sys.argv[:] = words
    sys.path.insert(0, str(path.parent))
    module = ModuleType("__main__")
    module.__dict__.update(__file__=str(path), __builtins__=builtins)
    sys.modules["__main__"] = module
    try:
        exec(compile(path.read_bytes(), path, "exec"), module.__dict__)  # noqa: S102  # the step
    finally:
        note_names(Path(request["modules"]), job)


def read_names(modules: Path) -> list[str]:
    """Return the names of modules in a file; none if there is no file yet."""
    return modules.read_text(encoding="utf-8").split() if modules.exists() else []


def find_names(program: Path) -> list[str]:
    """Return the names of modules that a program and the files beside it ask for.

    That is most of what it is going to import, when nobody knows from an earlier run.
    """
    files = sorted(program.parent.glob("*.py"))
    names: dict[str, None] = {}
    for file in files:
        # A file that isn't Python may not be needed; if it is, the program will say so.
        with contextlib.suppress(SyntaxError, ValueError):
            for node in ast.walk(ast.parse(file.read_bytes())):
                if isinstance(node, ast.Import):
                    names.update(dict.fromkeys(alias.name for alias in node.names))
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names[node.module] = None
    own = {file.stem for file in files}
    return [name for name in names if name.split(".")[0] not in own]


def note_names(modules: Path, job: Job) -> None:
    """Add the modules that this process has imported to a file, but for the step's own.

    Those that were imported for another step of the same environment aren't this one's. The order
    is that of their imports, which matters to some libraries.
    """
    homes = (sys.prefix, sys.base_prefix)
    imported = [
        name
        for name, module in list(sys.modules.items())
        if name not in job.imported and (getattr(module, "__file__", None) or "").startswith(homes)
    ]
    if imported or not modules.exists():
        modules.parent.mkdir(parents=True, exist_ok=True)
        draft = modules.with_suffix(f".{os.getpid()}")
        draft.write_text("\n".join([*job.known, *imported]), encoding="utf-8")
        draft.replace(modules)


if __name__ == "__main__":
    main(*sys.argv[1:])
