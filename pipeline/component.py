"""Runs one component through `mlflow.run`, led to the right W&B by environment variables."""

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import mlflow
from mlflow.exceptions import ExecutionException
from mlflow.projects.utils import load_project

from pipeline.backend import NAME, StepBackend, register
from pipeline.command import find_program
from pipeline.errors import StepError
from pipeline.standbys import Standbys
from pipeline.steps import Step, encode_parameters


@dataclass
class ComponentRunner:
    """Runs components as steps of one pipeline run.

    Attributes:
        root: Folder of the components.
        experiment_id: MLflow experiment of their runs.
        manager: Who makes their environments.
        scratch: Folder for files in passing.
        variables: Environment variables that they get.
        standbys: What forks them; None to start each from nothing.
        backend: Starts their processes.
    """

    root: Path
    experiment_id: str
    manager: str
    scratch: Path
    variables: dict[str, str]
    standbys: Standbys | None
    backend: StepBackend = field(init=False)

    def __post_init__(self) -> None:
        """Make `mlflow.run` use this runner's backend."""
        self.backend = StepBackend(self.standbys)
        register(self.backend)

    def prepare(self, name: str, enter: Callable[[], Sequence[str]]) -> None:
        """Have what a step needs imported before its turn, if it is of a kind that can be forked.

        Args:
            name: The step's.
            enter: Returns the shell commands that enter its environment; may take its time.
        """
        folder = self.root / name
        program = find_program(load_project(str(folder)).get_entry_point("main").command)
        if self.standbys and program:
            self.standbys.prepare(program, folder, enter, self.variables)

    def note_reused(self, name: str) -> None:
        """Import nothing ahead for a step that doesn't run."""
        if self.standbys:
            self.standbys.note_reused(name)

    def run(self, step: Step) -> str:
        """Run a step and wait for it.

        Returns:
            Id of its MLflow run, and of its W&B run.

        Raises:
            StepError: It can't be started, or failed.
        """
        count = len(self.backend.started)
        try:
            mlflow.run(
                str(self.root / step.name),
                parameters=encode_parameters(step, self.scratch),
                experiment_id=self.experiment_id,
                run_name=step.name,
                backend=NAME,
                backend_config={
                    "environment": self.variables | {"WANDB_JOB_TYPE": step.name},
                },
                env_manager=self.manager,
                storage_dir=str(self.scratch),
            )
        except ExecutionException as error:
            if len(self.backend.started) == count:
                raise StepError(f"The step {step.name!r} can't be started: {error}") from error
            raise StepError(self._failure(step)) from error
        return self.backend.started[-1].run_id

    def stop(self) -> None:
        """Stop what still runs."""
        for process in self.backend.started:
            process.cancel()

    def _failure(self, step: Step) -> str:
        code = self.backend.started[-1].exit_code or 0
        if code > 0:
            how = f"(exit code {code}); its own message stands above."
        else:
            how = f"(killed by signal {-code})."
        if -code == signal.SIGKILL:
            how += " If nobody killed it, the machine may have run out of memory."
        return f"The step {step.name!r} failed {how} Nothing after it ran."
