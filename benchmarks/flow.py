"""The six steps as a Metaflow flow; run by the environment that with_metaflow.py makes for it."""

# mypy: ignore-errors
# (types are checked in an environment without metaflow)

from metaflow import FlowSpec, step
from programs import run_program


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
