"""Trials as a Metaflow flow; run by the environment that with_metaflow.py makes for it."""

# mypy: ignore-errors
# (types are checked in an environment without metaflow)

import json
import os
from pathlib import Path

from metaflow import FlowSpec, step
from programs import run_program


class Trials(FlowSpec):
    """Trains once for each set of arguments, side by side, and evaluates one of the models."""

    @step
    def start(self) -> None:
        """Read which trials there are."""
        self.trials = json.loads(Path(os.environ["BENCHMARK_TRIALS"]).read_text())
        self.next(self.train_random_forest, foreach="trials")

    @step
    def train_random_forest(self) -> None:
        """Train."""
        run_program("train_random_forest", **self.input)
        self.next(self.join)

    @step
    def join(self, _: object) -> None:
        """Wait for all trials."""
        self.next(self.end)

    @step
    def end(self) -> None:
        """Evaluate."""
        run_program("evaluate")


if __name__ == "__main__":
    Trials()
