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
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

Finished = subprocess.CompletedProcess[str]

_FOLDERS: set[Path] = set()


@dataclass
class WarmPython:
    """The client of a process that waits for programs to run."""

    process: "subprocess.Popen[str]"

    def run(
        self,
        *command: str,
        cwd: Path,
        env: Mapping[str, str],
        libraries: tuple[str, ...] = (),
        timeout: float = 120,
    ) -> Finished:
        """Do what `subprocess.run([sys.executable, *command], capture_output=True)` does.

        Args:
            command: `-c` and a program, `-m` and a module, or a file, followed by arguments.
            cwd: The program's current folder.
            env: All of its variables.
            libraries: Modules that it will import; they are imported once for all programs.
            timeout: Seconds until it and the process are killed.
        """
        assert self.process.stdin
        assert self.process.stdout
        with tempfile.TemporaryDirectory() as folder:
            outputs = [Path(folder, name) for name in ("stdout", "stderr")]
            job = {"command": command, "cwd": str(cwd), "env": dict(env)}
            job |= {"libraries": libraries, "outputs": [*map(str, outputs)]}
            print(json.dumps(job), file=self.process.stdin, flush=True)
            ready, _, _ = select.select([self.process.stdout], [], [], timeout)
            texts = [path.read_text() if path.exists() else "" for path in outputs]
            if not ready:
                os.killpg(self.process.pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(command, timeout, *texts)
            return Finished(command, int(self.process.stdout.readline()), *texts)


@contextmanager
def warm_python() -> Iterator[WarmPython]:
    """Start a process that waits for programs; it ends with the block."""
    with (
        tempfile.TemporaryDirectory() as temporary,
        subprocess.Popen(
            [sys.executable, "-P", __file__, temporary],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        yield WarmPython(process)


def serve(temporary: Path) -> None:
    """Fork for each job on stdin, and answer with its exit code."""
    for line in sys.stdin:
        job = json.loads(line)
        load(job.pop("libraries"), temporary)
        child = os.fork()
        if not child:
            become(**job)
            return
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


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


def become(command: list[str], cwd: str, env: dict[str, str], outputs: list[str]) -> None:
    """Turn this process into what a command starts."""
    for number, path in enumerate([os.devnull, *outputs]):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
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
    serve(Path(sys.argv[1]))
