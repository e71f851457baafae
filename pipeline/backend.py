"""MLflow project backend that runs one step as a process group of its own.

MLflow's own local backend gives away neither the process nor its exit code, and a Ctrl-C in the
terminal reaches it and its children in no certain order. This one is registered under the name
`step` and used through `mlflow.run(..., backend="step")`.
"""

import logging
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import RunStatus
from mlflow.projects.backend import loader
from mlflow.projects.backend.abstract_backend import AbstractBackend
from mlflow.projects.submitted_run import SubmittedRun
from mlflow.projects.utils import (
    PROJECT_ENV_MANAGER,
    PROJECT_STORAGE_DIR,
    fetch_and_validate_project,
    get_entry_point_command,
    get_or_create_run,
    get_run_env_vars,
    load_project,
)

from pipeline import leash
from pipeline.command import find_program, read_arguments
from pipeline.environments import activation
from pipeline.signals import STOP_SIGNALS, heard_by_children, hearing_signals
from pipeline.standby import Turn
from pipeline.standbys import Standbys
from pipeline.wandb_target import has_gone, storage_fault

logger = logging.getLogger(__name__)

NAME = "step"


class StepProcess(SubmittedRun):
    """A running step: its MLflow run and its process."""

    def __init__(self, run_id: str, group: leash.Group | Turn, wandb: str = "") -> None:
        """Take a process group that was just started, or asked for.

        Args:
            run_id: Id of its MLflow run.
            group: The step's.
            wandb: Base URL of the W&B that it was told to use; empty if it was told none.
        """
        self._run_id = run_id
        self._group = group
        self._wandb = wandb
        self._started_at = time.time()
        self.exit_code: int | None = None

    @property
    def run_id(self) -> str:
        """Id of the step's MLflow run."""
        return self._run_id

    def wait(self) -> bool:
        """Wait for the end of the step; True if it ended with exit code 0.

        What the local W&B server couldn't store meanwhile is said here: the SDK tells the step
        no more than that an upload failed, and loses lines of a history without a word.
        """
        with hearing_signals():
            self.exit_code = self._group.wait()
        self._group.release()
        return self._conclude()

    def _conclude(self) -> bool:
        fault = storage_fault(self._wandb, self._started_at)
        if fault:
            logger.error("The local W&B server couldn't store everything: %s", fault)
        elif self.exit_code and has_gone(self._wandb):
            logger.error(
                "Nothing answers at %s any more. If that was the local W&B server, the same "
                "command starts it again, and goes on at this step.",
                self._wandb,
            )
        return self.exit_code == 0

    def get_status(self) -> str:
        """Return MLflow's name for the state of the step."""
        if self.exit_code is None:
            return str(RunStatus.to_string(RunStatus.RUNNING))
        ended = RunStatus.FAILED if self.exit_code else RunStatus.FINISHED
        return str(RunStatus.to_string(ended))

    def cancel(self) -> None:
        """Interrupt the step and its children, give them time to end well, then kill them.

        The step's MLflow run is marked as failed, which MLflow does only if it is interrupted
        while it waits. A second Ctrl-C while the step is ending is ignored: it would cut short
        what marks the W&B run as failed.
        """
        if self.exit_code is not None:
            return
        ignored = {number: signal.signal(number, signal.SIG_IGN) for number in STOP_SIGNALS}
        try:
            self._end()
        finally:
            for number, handler in ignored.items():
                signal.signal(number, handler)

    def _end(self) -> None:
        self._group.interrupt()
        previous = signal.signal(signal.SIGALRM, lambda *_: self._group.kill())
        signal.setitimer(signal.ITIMER_REAL, leash.GRACE)
        self.exit_code = self._group.wait()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        self._group.release()
        self._group.kill()
        self._conclude()
        client = MlflowClient()
        if not RunStatus.is_terminated(client.get_run(self._run_id).info.status):
            client.set_terminated(self._run_id, RunStatus.to_string(RunStatus.FAILED))


@dataclass
class StepBackend(AbstractBackend):
    """Starts a step in its environment, with the environment variables it is given.

    Attributes:
        standbys: What forks the steps; None to start each from nothing.
        started: The steps so far.
    """

    standbys: Standbys | None = None
    started: list[StepProcess] = field(default_factory=list)

    def run(
        self,
        project_uri: str,
        entry_point: str,
        params: dict[str, Any],
        version: str | None,
        backend_config: dict[str, Any],
        tracking_uri: str,  # noqa: ARG002  # part of MLflow's interface
        experiment_id: str,
    ) -> StepProcess:
        """Start the step; MLflow waits for what this returns.

        Args:
            project_uri: Folder of the step.
            entry_point: Entry point in its MLproject.
            params: Parameters of the entry point.
            version: Commit, for a step that is fetched by git; None for a folder.
            backend_config: `environment`: the variables that the step gets.
            tracking_uri: Unused: MLflow's own variables carry it.
            experiment_id: Experiment of the MLflow run.
        """
        folder = Path(fetch_and_validate_project(project_uri, version, entry_point, params))
        project = load_project(str(folder))
        enter = activation(project, folder, backend_config[PROJECT_ENV_MANAGER])
        (command,) = get_entry_point_command(
            project, entry_point, params, backend_config[PROJECT_STORAGE_DIR]
        )
        run = get_or_create_run(
            None, project_uri, experiment_id, str(folder), version, entry_point, params
        )
        run_id = run.info.run_id
        variables = {
            **backend_config["environment"],
            **get_run_env_vars(run_id, experiment_id),
            # One id for both, so that either run leads to the other.
            "WANDB_RUN_ID": run_id,
        }
        program = find_program(project.get_entry_point(entry_point).command)
        group: leash.Group | Turn
        if self.standbys and program:
            arguments = read_arguments(command)
            group = self.standbys.begin(program, folder, enter, arguments, variables)
        else:
            with heard_by_children():
                group = leash.start(" && ".join([*enter, command]), folder, variables)
        self.started.append(StepProcess(run_id, group, variables.get("WANDB_BASE_URL", "")))
        return self.started[-1]


def register(backend: StepBackend) -> None:
    """Make `mlflow.run(..., backend="step")` use this backend.

    MLflow makes a backend by calling what is registered; plugins register the same way, but by
    the metadata of an installed package, which a project folder doesn't have.
    """
    loader.MLFLOW_BACKENDS[NAME] = lambda: backend  # type: ignore[assignment, return-value]
