"""Steps that are started before their turn, so that their libraries are imported meanwhile.

Imports are half of what a step takes, and there is a second core while another step works. So a
process waits for each step that is to come, in the step's own environment, with the modules
imported that the step imported when it last ran there. In its turn it forks, and the child is the
step. In a sweep it goes on to wait, for the same step of the next trial.

Only what is installed in the environment is imported before a step's turn. Its own files are read
in its turn, as without this. Where processes can't fork safely, nothing of this is done.
"""

import hashlib
import json
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import IO

from pipeline import leash
from pipeline.memory import memory_file, write_whole
from pipeline.signals import wait_for

# Elsewhere, system libraries use threads from their first moment on.
IS_POSSIBLE = sys.platform == "linux"
_COUNTS = Path("/proc/stat")  # man 5 proc
_LOOKS = 5
_PAUSE = 0.02  # seconds between them
_PROCESS = Path(__file__).with_name("standby_process.py")
# A command that calls one Python program with plain words and parameters, and does nothing else.
_COMMAND = re.compile(r"exec python (?P<program>[\w.]+\.py)(\s+(--?\w[\w-]*|\{\w+\}))*\s*")


def find_program(command: str) -> str | None:
    """Return the program that an entry point's command calls, if it does nothing else.

    Args:
        command: As in the MLproject, with {parameters}.
    """
    found = _COMMAND.fullmatch(command)
    return found["program"] if found else None


def read_arguments(command: str) -> list[str]:
    """Return the program's arguments in such a command, with values for its parameters."""
    return shlex.split(command)[len(("exec", "python", "program")) :]


@dataclass
class Standby(leash.Group):
    """A process group that waits for a step's turn.

    Attributes:
        jobs: Where its work is written to.
        answers: Where it tells that it is ready, and how its work ended.
        activation: Commands by which it entered its environment.
        variables: Environment variables that it was started with, before these commands.
        is_kept: Whether it waits for another turn after one.
    """

    jobs: IO[bytes]
    answers: IO[bytes]
    activation: Sequence[str]
    variables: Mapping[str, str]
    is_kept: bool
    _has_begun: bool = False
    _is_ready: bool = False
    _listening: Lock = field(default_factory=Lock)

    def get_ready(self) -> None:
        """Wait until it has imported everything, or is gone."""
        with self._listening:
            if not self._is_ready:
                self.answers.readline()
                self._is_ready = True

    def begin(self, arguments: Sequence[str], variables: Mapping[str, str]) -> None:
        """Let it do the step's work.

        Args:
            arguments: Of the step's program.
            variables: All environment variables of the step, but for what activation adds.
        """
        changed = {
            name: variables.get(name)
            for name in self.variables.keys() | variables.keys()
            if self.variables.get(name) != variables.get(name)
        }
        job = {"arguments": list(arguments), "variables": changed}
        self._has_begun = True
        with suppress(BrokenPipeError):  # it is gone, and `wait` tells how
            self.jobs.write(json.dumps(job).encode() + b"\n")
        if not self.is_kept:
            self.jobs.close()

    def wait(self) -> int:
        """Wait for the end of the step; return its exit code, negative for a signal."""
        self.get_ready()
        if answer := self.answers.readline():
            return int(answer)
        self.kill()  # or the step would go on alone
        return self.leader.wait()

    def interrupt(self) -> None:
        """Send Ctrl-C to the step, which is the last one that it does."""
        self.is_kept = False
        super().interrupt()

    def release(self) -> None:
        """Let it wait for another turn, or end."""
        if not (self.is_kept and self.is_alive()):
            self.close()

    def is_alive(self) -> bool:
        """Tell whether it can be given work."""
        return self.leader.poll() is None

    def close(self) -> None:
        """End it."""
        self.jobs.close()
        if not self._has_begun:  # it may be starting or importing: Ctrl-C would have a traceback
            self.leader.terminate()
        super().release()
        self.get_ready()
        self.answers.close()


def start(
    program: str, folder: Path, activation: Sequence[str], variables: Mapping[str, str], keep: bool
) -> Standby:
    """Start the process that waits for a step.

    Args:
        program: The step's program.
        folder: The step's folder.
        activation: Shell commands that enter its environment.
        variables: Its environment variables.
        keep: Whether it does the step more than once.

    Raises:
        OSError: It can't be started.
    """
    taken, jobs = os.pipe()
    answers, given = os.pipe()
    words = ["python", "-P", _PROCESS, program, _modules(folder, activation), taken, given]
    command = " && ".join([*activation, f"exec {shlex.join(map(str, words))}"])
    try:
        group = leash.start(command, folder, variables, [taken, given])
    except OSError:
        os.close(jobs)
        os.close(answers)
        raise
    finally:
        os.close(taken)
        os.close(given)
    return Standby(
        group.leader,
        group.leash,
        os.fdopen(jobs, "wb", 0),
        os.fdopen(answers, "rb", 0),
        list(activation),
        dict(variables),
        keep,
    )


def _modules(folder: Path, activation: Sequence[str]) -> Path:
    """Return the file with the modules that a step imports in an environment."""
    mark = hashlib.sha256(json.dumps([folder.name, *activation]).encode()).hexdigest()[:16]
    return memory_file("imports", f"{folder.name}-{mark}.txt")


def is_busy() -> bool:
    """Tell whether no core is idle, so that work ahead of its time would only delay other work.

    Several looks are taken, since a core that has work for a moment only isn't busy.
    """
    cores = os.cpu_count() or 1
    for _ in range(_LOOKS):
        if count_running() <= cores:  # this thread among them, which is about to wait
            return False
        time.sleep(_PAUSE)
    return True


def count_running() -> int:
    """Return how many threads of this machine run, or could run, at this moment.

    The load average tells of the last minute: it stays high after work that has ended.
    """
    counts = dict(line.split(maxsplit=1) for line in _COUNTS.read_text("ascii").splitlines())
    return int(counts["procs_running"])


@dataclass
class Standbys:
    """The processes that wait, one a step at the most.

    They import one after the other, in the order of their turns: more at once would take time from
    the step that is at work. Where all cores are busy, a step's process is started in its turn.

    Attributes:
        root: Folder of the components.
        is_kept: Whether they wait for another turn after one.
    """

    root: Path
    is_kept: bool = False
    _ran: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    _started: "dict[str, Future[Standby]]" = field(default_factory=dict)
    _reused: set[str] = field(default_factory=set)
    _starter: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    def prepare_as_before(self, names: Collection[str], variables: Mapping[str, str]) -> None:
        """Have processes wait for the steps that ran in the pipeline before this one.

        It is a guess, made before there is time to find out more: these are the likeliest to run
        again. A process that entered another environment than it should is replaced in its turn.

        Args:
            names: Steps that may run at all.
            variables: Environment variables of the steps.
        """
        memory = self._memory()
        ran = json.loads(memory.read_text(encoding="utf-8")) if memory.exists() else {}
        for name, (program, activation) in ran.items():
            words = [word for command in activation for word in shlex.split(command)]
            # Without its environment, bash would complain.
            if name in names and all(Path(word).exists() for word in words if "/" in word):
                self.prepare(program, self.root / name, partial(list, activation), variables)

    def _memory(self) -> Path:
        mark = hashlib.sha256(str(self.root).encode()).hexdigest()[:16]
        return memory_file("ran", f"{mark}.json")

    def prepare(
        self,
        program: str,
        folder: Path,
        enter: Callable[[], Sequence[str]],
        variables: Mapping[str, str],
    ) -> None:
        """Have a process wait for a step soon, unless one does, or the step was reused last time.

        Args:
            program: The step's program.
            folder: The step's folder.
            enter: Returns the shell commands that enter its environment; may take its time.
            variables: Its environment variables.
        """
        if folder.name not in self._started and folder.name not in self._reused:
            started = self._started[folder.name] = Future()
            self._starter.submit(self._start, started, program, folder, enter, variables)

    def _start(
        self,
        started: "Future[Standby]",
        program: str,
        folder: Path,
        enter: Callable[[], Sequence[str]],
        variables: Mapping[str, str],
    ) -> None:
        if is_busy():
            started.cancel()
        if not started.set_running_or_notify_cancel():
            return
        try:
            standby = start(program, folder, enter(), variables, self.is_kept)
        except Exception as error:  # whoever takes it gets to know
            started.set_exception(error)
            return
        started.set_result(standby)
        standby.get_ready()

    def take(
        self, program: str, folder: Path, activation: Sequence[str], variables: Mapping[str, str]
    ) -> Standby:
        """Return a process that can begin the step; one is started if none waits.

        Args:
            program: The step's program.
            folder: The step's folder.
            activation: Shell commands that enter its environment.
            variables: Its environment variables.

        Raises:
            EnvironmentManagerError: The environment can't be made.
            OSError: It can't be started.
        """
        self._reused.discard(folder.name)
        self._ran[folder.name] = program, list(activation)
        started = self._started.get(folder.name)
        if started and not started.cancel():
            standby = wait_for(started)
            if standby.is_alive() and standby.activation == activation:
                return standby
            standby.close()
        standby = start(program, folder, activation, variables, self.is_kept)
        started = self._started[folder.name] = Future()
        started.set_result(standby)
        return standby

    def note_reused(self, name: str) -> None:
        """End the process that waits for a step, and let none wait for it again until it runs."""
        self._reused.add(name)
        if started := self._started.pop(name, None):
            _end(started)

    def close(self) -> None:
        """End all that wait, and note for the next pipeline which steps have run."""
        for name in list(self._started):
            _end(self._started.pop(name))
        self._starter.shutdown(wait=False, cancel_futures=True)
        if self._ran:
            write_whole(self._memory(), json.dumps(self._ran))


def _end(started: "Future[Standby]") -> None:
    """End what is or will be the result of a future."""

    def close(ended: "Future[Standby]") -> None:
        if not ended.cancelled() and not ended.exception():
            ended.result().close()

    started.cancel()
    started.add_done_callback(close)
