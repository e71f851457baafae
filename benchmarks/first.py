"""The first run on a machine that has nothing yet: by the README, and by other tools."""

import logging
import os
import re
import time
from dataclasses import replace
from pathlib import Path

from benchmarks import untracked
from benchmarks.contest import TOOLS, run, variables_of
from benchmarks.place import BenchmarkError, Place, call, isolate
from benchmarks.recording import StepCall
from benchmarks.timing import measure
from benchmarks.tools import make_steps_python

LABELS = untracked.LABELS | {"main": "README's first line"}

logger = logging.getLogger(__name__)


def race_first(
    place: Place, calls: list[StepCall], tools: list[str], rounds: int
) -> dict[str, list[float]]:
    """Make first runs in turn, round by round, each with empty caches and in a home of its own.

    Args:
        place: Where to run.
        calls: How main.py calls the steps.
        tools: Who runs them beside the README's first line.
        rounds: How many runs each.

    Returns:
        Seconds by "main" and the names of the tools.
    """
    tools = [name for name in TOOLS if name in tools]
    seconds: dict[str, list[float]] = {name: [] for name in ("main", *tools)}
    for number in range(1, rounds + 1):
        for name, found in seconds.items():
            # MLflow can't make an environment where the path of the home has spaces.
            folder = place.folder / f"first_{number}_by_{name}"
            folder.mkdir()
            if name == "main":
                found.append(run_readme(place, folder))
            else:
                found.append(run_tool(place, folder, name, calls))
            logger.info("round %d: %6.2f s  first run: %s", number, found[-1], LABELS[name])
    return seconds


def run_readme(place: Place, folder: Path) -> float:
    """Run the README's first command in a fresh clone; return seconds."""
    clone = folder / "clone"
    call(["git", "clone", "--quiet", str(place.project), str(clone)], folder, os.environ)
    command = find_command((clone / "README.md").read_text())
    variables = isolate(os.environ, folder / "home", keep_caches=False)
    try:
        log = place.folder / "output.log"
        return measure(["bash", "-c", command], clone, variables, log).seconds
    finally:
        python = clone / ".venv" / "bin" / "python"
        if python.exists():
            call([str(python), "-m", "wandb_server", "stop"], clone, variables)


def run_tool(place: Place, folder: Path, name: str, calls: list[StepCall]) -> float:
    """Make an environment of a tool and what all steps need, and run them; return seconds.

    The table is the README's. uv is there, and so is the W&B server; the tool's project in W&B is
    new, as is that of the README's run.
    """
    variables = isolate(os.environ, folder / "home", keep_caches=False)
    variables["PATH"] = place.variables["PATH"]
    own = replace(place, folder=folder, variables=variables)
    begun = time.perf_counter()
    songs = str(place.project / "sample_data" / "songs.parquet")
    steps = [step.give("url", songs) if step.step == "download" else step for step in calls]
    if name == "dvc":  # which calls the steps by their own interpreter
        python = str(make_steps_python(own, calls, "steps"))
        steps = [replace(step, python=python) for step in steps]
    contestant = TOOLS[name](own, steps).steps
    project = {"WANDB_PROJECT": folder.name}
    contestant = contestant.also(variables=variables | contestant.variables | project)
    run(place, contestant, variables_of(contestant, steps))
    return time.perf_counter() - begun


def find_command(readme: str) -> str:
    """Return the first line of the README that installs and runs the pipeline.

    Raises:
        BenchmarkError: There is none.
    """
    found = re.search(r"^.*pip install.*mlflow run \. .*$", readme, re.MULTILINE)
    if not found:
        raise BenchmarkError("README.md has no line with pip install and mlflow run.")
    return found.group()
