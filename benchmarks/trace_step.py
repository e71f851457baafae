"""Runs a step's program and writes down where its time goes; run by the step's own Python.

`BENCHMARK_LAUNCHED=<time.time()> python trace_step.py <result.json> run.py <arguments>`, in the
step's folder. Every moment of the main thread belongs to one of: interpreter (until this file
runs), import_wandb, import_other, wandb (calls of the SDK, with what they import), work.
"""

import time

_STARTED = time.time()

import builtins  # noqa: E402  # the clock starts first
import functools  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import runpy  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

RUN_METHODS = ("use_artifact", "log_artifact", "log", "link_artifact", "finish")
ARTIFACT_METHODS = ("add_dir", "add_file", "download", "file", "wait", "save", "logged_by")


class Clock:
    """Adds up what each kind of activity takes; the outermost kind counts."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._kind = "work"
        self._since = time.perf_counter()

    def switch(self, kind: str) -> str:
        """Begin another kind of activity; return the one that ends."""
        now = time.perf_counter()
        self.seconds[self._kind] = self.seconds.get(self._kind, 0.0) + now - self._since
        before, self._kind, self._since = self._kind, kind, now
        return before

    def timed(self, kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with its calls from the main thread's work counted as `kind`."""

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if self._kind != "work" or threading.current_thread() is not threading.main_thread():
                return function(*args, **kwargs)
            self.switch(kind)
            try:
                return function(*args, **kwargs)
            finally:
                self.switch("work")

        return wrapper


def trace(result: Path, arguments: list[str]) -> None:
    """Run a program as `python <arguments>` would, and write the seconds by kind.

    Args:
        result: JSON file to write, also when the program fails.
        arguments: The program's file and its arguments.
    """
    clock = Clock()
    clock.switch("import_wandb")
    import wandb

    clock.switch("work")
    builtins.__import__ = clock.timed("import_other", builtins.__import__)
    wandb.init = clock.timed("wandb", wandb.init)
    for owner, names in ((wandb.Run, RUN_METHODS), (wandb.Artifact, ARTIFACT_METHODS)):
        for name in names:
            setattr(owner, name, clock.timed("wandb", getattr(owner, name)))
    sys.argv = arguments
    sys.path[0] = str(Path.cwd())
    try:
        runpy.run_path(arguments[0], run_name="__main__")
    finally:
        clock.switch("work")
        interpreter = _STARTED - float(os.environ["BENCHMARK_LAUNCHED"])
        result.write_text(json.dumps({**clock.seconds, "interpreter": interpreter}))


if __name__ == "__main__":
    trace(Path(sys.argv[1]), sys.argv[2:])
