"""Runs a step's program in this process; used where another tool starts the process."""

import json
import os
import runpy
import sys
from pathlib import Path


def run_program(name: str, model_config: str | None = None) -> None:
    """Run a step's program as `python run.py` in its folder would, unless it isn't to run.

    Args:
        name: The step.
        model_config: File with the settings of the model, instead of the step's own.
    """
    arguments = json.loads(Path(os.environ["BENCHMARK_CALLS"]).read_text()).get(name)
    if arguments is None:
        return
    if model_config:
        arguments[arguments.index("--model_config") + 1] = model_config
    folder, before = Path(os.environ["BENCHMARK_PROJECT"]) / name, Path.cwd()
    os.environ["WANDB_JOB_TYPE"] = name
    sys.argv = arguments
    sys.path.insert(0, str(folder))
    os.chdir(folder)
    try:
        runpy.run_path("run.py", run_name="__main__")
    finally:
        os.chdir(before)
        sys.path.remove(str(folder))
        unload(folder)


def unload(folder: Path) -> None:
    """Forget the modules of a folder: another step has others of the same names."""
    for name, module in list(sys.modules.items()):
        if Path(getattr(module, "__file__", None) or "/").parent == folder:
            del sys.modules[name]
