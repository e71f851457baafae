"""The six steps as a Metaflow flow; run by the environment that contestants.py makes for it."""

# mypy: ignore-errors
# (types are checked in an environment without metaflow)

import json
import os
import runpy
import sys
from pathlib import Path

from metaflow import FlowSpec, step


def run_program(name: str) -> None:
    """Run a step's program in this process, as `python run.py` in its folder would."""
    arguments = json.loads(Path(os.environ["BENCHMARK_CALLS"]).read_text()).get(name)
    if arguments is None:
        return
    folder, before = Path(os.environ["BENCHMARK_PROJECT"]) / name, Path.cwd()
    os.environ["WANDB_JOB_TYPE"] = name
    sys.argv = arguments
    sys.path.insert(0, str(folder))
    os.chdir(folder)
    runpy.run_path("run.py", run_name="__main__")
    os.chdir(before)


class SixSteps(FlowSpec):
    """One step of Metaflow for each of the pipeline; its first must be start and its last end."""

    @step
    def start(self) -> None:
        """Download."""
        run_program("download")
        self.next(self.preprocess)

    @step
    def preprocess(self) -> None:
        """Drop rows."""
        run_program("preprocess")
        self.next(self.check_data)

    @step
    def check_data(self) -> None:
        """Check."""
        run_program("check_data")
        self.next(self.segregate)

    @step
    def segregate(self) -> None:
        """Split."""
        run_program("segregate")
        self.next(self.train_random_forest)

    @step
    def train_random_forest(self) -> None:
        """Train."""
        run_program("train_random_forest")
        self.next(self.end)

    @step
    def end(self) -> None:
        """Evaluate."""
        run_program("evaluate")


if __name__ == "__main__":
    SixSteps()
