"""Runs Python programs in forks of a process that has imported what they need.

Imports are most of what a short program takes. Each fork is a process of its own, with its own
arguments, folder and variables, as if Python had been started for it.
"""

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO, Any

Finished = subprocess.CompletedProcess[str]

_FOLDERS: set[Path] = set()


@dataclass
class Program:
    """A program that runs: what `subprocess.Popen` is to a process's own children.

    Attributes:
        pid: Of its process.
        told: Where its exit code will stand.
        outputs: What it prints, as files.
        returncode: Negative for a signal; None until it was waited for.
    """

    pid: int
    told: IO[str]
    outputs: tuple[IO[str], IO[str]]
    returncode: int | None = None

    def communicate(self, timeout: float = 60) -> tuple[str, str]:
        """Wait for its end, so many seconds at the most; return what it printed."""
        if not select.select([self.told], [], [], timeout)[0]:
            self.send_signal(signal.SIGKILL)
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout, *self.communicate())
        with self.told:
            self.returncode = int(self.told.readline())
        for output in self.outputs:
            output.seek(0)
        with self.outputs[0] as stdout, self.outputs[1] as stderr:
            return stdout.read(), stderr.read()

    def send_signal(self, number: int) -> None:
        """Do nothing if it was waited for, as its number may be another's by now."""
        if self.returncode is None:
            os.kill(self.pid, number)


@dataclass
class WarmPython:
    """The client of a process that forks programs."""

    channel: socket.socket

    def start(
        self,
        *command: str,
        cwd: Path,
        env: Mapping[str, str],
        libraries: tuple[str, ...] = (),
    ) -> Program:
        """Do what `subprocess.Popen([sys.executable, *command])` does, in a session of its own.

        Args:
            command: `-c` and a program, `-m` and a module, or a file, followed by arguments.
            cwd: The program's current folder.
            env: All of its variables.
            libraries: Modules that it will import; they are imported once for all programs.
        """
        # `communicate` closes them.
        outputs = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")  # noqa: SIM115
        job = {"command": command, "cwd": str(cwd), "env": dict(env)}
        text = json.dumps(job | {"libraries": libraries}).encode()
        reader, writer = os.pipe()
        files = [*(output.fileno() for output in outputs), writer]
        with os.fdopen(writer, "wb"):
            socket.send_fds(self.channel, [text + b"\n"], files)
        told = os.fdopen(reader)
        return Program(int(told.readline()), told, outputs)

    def run(self, *command: str, timeout: float = 120, **place: Any) -> Finished:
        """Start a program (see `start`), wait for its end, and return what it printed."""
        program = self.start(*command, **place)
        texts = program.communicate(timeout)
        assert program.returncode is not None
        return Finished(command, program.returncode, *texts)


@contextmanager
def warm_python(**variables: str) -> Iterator[WarmPython]:
    """Start a process that forks programs; with the block it ends, and what still runs of them.

    Args:
        variables: What it is to have in its environment, besides what this process has.
    """
    here, there = socket.socketpair()
    with tempfile.TemporaryDirectory() as temporary:
        process = subprocess.Popen(
            [sys.executable, "-P", __file__, str(there.fileno()), temporary],
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            pass_fds=[there.fileno()],
            start_new_session=True,
        )
        there.close()
        with process, here:
            yield WarmPython(here)


def serve(channel: socket.socket, temporary: Path) -> None:
    """Fork for each job, and tell the fork's process, and its exit code once it has ended."""
    running: dict[int, int] = {}

    def tell(*_: Any) -> None:
        for child in list(running):
            with suppress(ChildProcessError):  # the end of another one interrupted this function
                ended, status = os.waitpid(child, os.WNOHANG)
                if ended:
                    with suppress(BrokenPipeError), os.fdopen(running.pop(child), "w") as file:
                        file.write(f"{os.waitstatus_to_exitcode(status)}\n")

    signal.signal(signal.SIGCHLD, tell)
    while received := receive(channel):
        job, (*outputs, told) = received
        load(job.pop("libraries"), temporary)
        child = os.fork()
        if not child:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for file in (channel.detach(), told, *running.values()):
                os.close(file)
            become(**job, outputs=outputs)
            return
        os.write(told, f"{child}\n".encode())
        for file in outputs:
            os.close(file)
        running[child] = told
        tell()  # it may have ended before it was noted
    for child in running:  # the tests were cut off
        os.kill(child, signal.SIGKILL)


def receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return a job and its open files; None if there will be no more."""
    text, files, _, _ = socket.recv_fds(channel, 65536, 3)
    while text and not text.endswith(b"\n"):
        text += channel.recv(65536)
    return (json.loads(text), files) if text else None


def load(libraries: list[str], temporary: Path) -> None:
    """Import libraries, for all programs to come."""
    tempfile.tempdir = str(temporary)
    for name in libraries:
        importlib.import_module(name)
    tempfile.tempdir = None
    # wandb makes a folder when it is imported, which the first program to end removes.
    _FOLDERS.update(folder for folder in temporary.rglob("*") if folder.is_dir())
    for folder in _FOLDERS:
        folder.mkdir(exist_ok=True)
    gc.freeze()


def become(command: list[str], cwd: str, env: dict[str, str], outputs: list[int]) -> None:
    """Turn this process into what a command starts."""
    for number, file in enumerate([os.open(os.devnull, os.O_RDWR), *outputs]):
        os.dup2(file, number)
        os.close(file)
    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    what, *words = command
    sys.path[:0] = filter(None, env.get("PYTHONPATH", "").split(os.pathsep))
    if what == "-m":
        sys.path.insert(0, cwd)
        sys.argv[:] = words
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        return
    main = sys.modules["__main__"] = ModuleType("__main__")
    if what == "-c":
        sys.argv[:] = [what, *words[1:]]
        sys.path.insert(0, "")
        exec(words[0], main.__dict__)  # noqa: S102  # what -c does
    else:
        sys.argv[:] = command
        sys.path.insert(0, str(Path(what).absolute().parent))
        main.__file__ = str(Path(what).absolute())
        program = compile(Path(what).read_bytes(), what, "exec")
        exec(program, main.__dict__)  # noqa: S102  # what Python does with a file


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]))
