"""Waits for a step's turn with its libraries imported; run by the Python of the step's environment.

`python -P standby_process.py <program> <file of modules> <jobs> <answers>`, in the step's folder.
For each job this process forks: the child becomes the program, and this process waits for it and
passes signals on. The end of the jobs ends it, as the last child ended. See `pipeline.standby`.

Nothing but the standard library is imported here: the environment is the step's.
"""

import builtins
import contextlib
import gc
import importlib
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from types import FrameType, ModuleType
from typing import IO, Any, NoReturn

PASSED_ON = (signal.SIGINT, signal.SIGTERM)


def main(program: str, modules: str, jobs: str, answers: str) -> None:
    """Wait for jobs until there are no more; in a child, become the program.

    Args:
        program: File of the step's program.
        modules: File with the names of the modules that it is known to import, read before each
            job, and written when the program has imported others.
        jobs: Descriptor of a pipe with one JSON object a line: `arguments` of the program, and
            `variables`, new values of environment variables, null for those to remove.
        answers: Descriptor of a pipe for "ready", and then for the exit code of each job, a line
            each; a negative one is the signal that killed it.
    """
    for descriptor in (jobs, answers):
        os.set_inheritable(int(descriptor), False)
    with os.fdopen(int(jobs), "rb") as lines, os.fdopen(int(answers), "wb", 0) as said:
        job = Waiting(Path(modules), lines, said).take()
    become(program, job, Path(modules))


@dataclass
class Waiting:
    """The process that waits; its children do the work."""

    modules: Path
    jobs: BufferedReader
    answers: IO[bytes]
    temporary: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="standby-")))
    folders: set[Path] = field(default_factory=set)
    child: int = 0

    def take(self) -> dict[str, Any]:
        """Return a job, in a child that is to do it; the process itself ends in here."""
        for number in PASSED_ON:
            signal.signal(number, self._pass_on)
        code = 0
        self._preload()
        self._answer("ready")
        for line in self.jobs:
            # Only the thread that forks lives on in a child.
            has_threads = threading.active_count() > 1
            if self._fork():
                return {**json.loads(line), "afresh": has_threads}
            _, status = os.waitpid(self.child, 0)
            self.child, code = 0, os.waitstatus_to_exitcode(status)
            self._answer(code)
            if not self._is_over():
                self._preload()
        return self._end(code)

    def _answer(self, said: object) -> None:
        # Nobody hears it if the pipeline was killed; then there are no more jobs either.
        with contextlib.suppress(BrokenPipeError):
            self.answers.write(f"{said}\n".encode())

    def _is_over(self) -> bool:
        """Tell whether it is known by now that no job will come."""
        at_hand, _, _ = select.select([self.jobs], [], [], 0)
        return bool(at_hand) and not self.jobs.peek(1)

    def _fork(self) -> bool:
        """Make a child; True in it."""
        signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
        self.child = os.fork()
        if not self.child:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        return not self.child

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        if self.child:
            os.kill(self.child, number)
        else:
            self._end(-number)

    def _preload(self) -> None:
        """Import what the program is known to import."""
        # wandb makes a folder for media when it is imported, and removes it when it ends. So the
        # end of one child would remove it for the next one, if it weren't made again.
        tempfile.tempdir = str(self.temporary)
        preload(read_names(self.modules))
        tempfile.tempdir = None
        self.folders |= {folder for folder in self.temporary.rglob("*") if folder.is_dir()}
        for folder in sorted(self.folders):
            folder.mkdir(mode=0o700, exist_ok=True)

    def _end(self, code: int) -> NoReturn:
        shutil.rmtree(self.temporary, ignore_errors=True)
        end(code)


def end(code: int) -> NoReturn:
    """End this process with an exit code, or by a signal if it is negative.

    Python's own end would look for garbage in all that was imported.
    """
    if code < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no handler, and so none to take back
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(abs(code))


def preload(names: Iterable[str]) -> None:
    """Import modules, and spare children the search for garbage in them."""
    gc.disable()
    for name in names:
        if name not in sys.modules:
            # It may have left the environment since; a program that needs it will say so.
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    gc.freeze()
    gc.enable()


def become(program: str, job: dict[str, Any], modules: Path) -> None:
    """Do what `python <program> <arguments>` does.

    Args:
        program: Its file.
        job: See `main`; `afresh` if it can't use what was imported.
        modules: Where to note what it has imported.
    """
    for name, value in job["variables"].items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    words = [program, *job["arguments"]]
    if job["afresh"]:
        os.execv(sys.executable, [sys.executable, *words])  # noqa: S606  # needs no shell
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()  # or each child would draw the same numbers
    path = Path(program).absolute()
    sys.argv[:] = words
    sys.path.insert(0, str(path.parent))
    module = ModuleType("__main__")
    module.__dict__.update(__file__=str(path), __builtins__=builtins)
    sys.modules["__main__"] = module
    try:
        exec(compile(path.read_bytes(), path, "exec"), module.__dict__)  # noqa: S102  # the step
    finally:
        note_names(modules)


def read_names(modules: Path) -> list[str]:
    """Return the names of modules in a file; none if there is no file yet."""
    return modules.read_text(encoding="utf-8").split() if modules.exists() else []


def note_names(modules: Path) -> None:
    """Add the modules that this process has imported to a file, but for the step's own.

    The order is that of their imports, which matters to some libraries.
    """
    homes = (sys.prefix, sys.base_prefix)
    imported = {
        name: None
        for name, module in list(sys.modules.items())
        if (getattr(module, "__file__", None) or "").startswith(homes)
    }
    known = read_names(modules)
    if imported.keys() - known:
        modules.parent.mkdir(parents=True, exist_ok=True)
        draft = modules.with_suffix(f".{os.getpid()}")
        draft.write_text("\n".join({**dict.fromkeys(known), **imported}), encoding="utf-8")
        draft.replace(modules)


if __name__ == "__main__":
    main(*sys.argv[1:])
