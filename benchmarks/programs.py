"""Runs a step's program in this process; used where another tool starts the process."""

import json
import os
import runpy
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def run_program(name: str, **others: str) -> None:
    """Run a step's program as Python in its folder would, unless it isn't to run.

    Args:
        name: The step.
        others: Arguments that have another value than the step's own, such as model_config.
    """
    call = json.loads(Path(os.environ["BENCHMARK_CALLS"]).read_text()).get(name)
    if call is None:
        return
    arguments = call["arguments"]
    for argument, value in others.items():
        arguments[arguments.index(f"--{argument}") + 1] = value
    before = Path.cwd()
    folder = before / call["folder"]
    program = folder / arguments[0]
    os.environ["WANDB_JOB_TYPE"] = name
    sys.argv = arguments
    os.chdir(folder)
    try:
        with importable([program.parent, *map(Path, call["modules"])]):
            runpy.run_path(str(program), run_name="__main__")
    finally:
        os.chdir(before)


@contextmanager
def importable(folders: Sequence[Path]) -> Iterator[None]:
    """Let modules of these folders be imported, and forget them in the end.

    Another step has others of the same names.
    """
    before = sys.path
    sys.path = [*map(str, folders), *before]
    try:
        yield
    finally:
        sys.path = before
        for name, module in list(sys.modules.items()):
            if Path(getattr(module, "__file__", None) or "/").parent in folders:
                del sys.modules[name]
