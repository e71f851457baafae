"""What happened: which steps led to an artifact or a run, in which pipeline runs."""

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from pipeline.record import MACHINE, TRIAL, Record, load_record
from pipeline.registry import FinishedRun, Registry, Version
from pipeline.reproduce.errors import ReproduceError
from pipeline.tracking import REUSED_FROM
from pipeline.wandb_target import WandbTarget

if TYPE_CHECKING:
    import wandb

REFERENCE = "reference_artifact"  # what check_data compares with: no step of this pipeline made it
_VERSION = re.compile(r"[^/]+:v\d+")


class Project(Registry):
    """Reads what a project's artifacts and runs say about each other."""

    def __init__(self, target: WandbTarget, project: str) -> None:
        """Connect.

        Raises:
            WandbError: W&B doesn't answer, or there is no key, or it refuses the key.
        """
        super().__init__(target, project)
        self.target = target

    def artifact(self, name: str) -> "wandb.Artifact":
        """Return the artifact of a name:vN, or of an entity/project/name:vN elsewhere."""
        found: wandb.Artifact = self._api.artifact(name if "/" in name else f"{self._path}/{name}")
        return found

    @property
    def path(self) -> str:
        """Entity and project."""
        return self._path

    @property
    def name(self) -> str:
        """The project's name alone."""
        return self._project

    def find_maker(self, name: str) -> str:
        """Return the id of the run that made a version.

        Args:
            name: name:vN.

        Raises:
            ReproduceError: It is gone, or nobody made it in a run.
        """
        if self.find_version(name) is None:
            raise ReproduceError(
                f"{name} of {self._path} was deleted: what was made from it can't be followed back."
            )
        maker = self.artifact(name).logged_by()
        if maker is None:
            raise ReproduceError(
                f"No run made {name} of {self._path}, or that run was deleted: there are no steps "
                "to run again."
            )
        return str(maker.id)

    def list_runs(self, step: str) -> list[str]:
        """Return the ids of the runs of a step, the oldest first."""
        found = self._api.runs(self._path, {"jobType": step}, order="+created_at")
        return [run.id for run in found]


@dataclass(frozen=True)
class StepRun:
    """A step that ran.

    Attributes:
        name: The step.
        run_id: Its MLflow run and its W&B run.
        started: Milliseconds since 1970.
        parameters: Those that it ran with.
        finished: What it wrote.
        record: The pipeline run that it was part of.
    """

    name: str
    run_id: str
    started: int
    parameters: dict[str, str]
    finished: FinishedRun
    record: Record

    @property
    def inputs(self) -> list[str]:
        """Versions that it took, each as name:vN."""
        return [
            value
            for name, value in self.parameters.items()
            if name != REFERENCE and _VERSION.fullmatch(value)
        ]

    @property
    def reference(self) -> str | None:
        """What it compared its input with: name:vN, perhaps of another project."""
        return self.parameters.get(REFERENCE) or None


class History:
    """Finds the steps behind an artifact or a run."""

    def __init__(self, client: MlflowClient, project: Project) -> None:
        """Take the two places that know.

        Args:
            client: MLflow's store.
            project: W&B's.
        """
        self._client, self._project = client, project
        self._records: dict[str, Record] = {}

    def find(self, target: str) -> list[StepRun]:
        """Return the steps that led to a target, in the order in which they ran.

        Args:
            target: name:version or name:alias of an artifact, or the id of a run.

        Raises:
            ReproduceError: There is no such thing, or it can't be run again.
        """
        waiting = [self._maker(target)] if ":" in target else self._steps_of(target)
        found: dict[str, StepRun] = {}
        while waiting:
            run_id = waiting.pop()
            if run_id not in found:
                found[run_id] = self._read(run_id)
                waiting += [self._project.find_maker(name) for name in found[run_id].inputs]
        return sorted(found.values(), key=lambda step: step.started)

    def _maker(self, name: str) -> str:
        version: Version | None = self._project.find_version(name)
        if version is None:
            raise ReproduceError(
                f"There is no artifact {name!r} in the project {self._project.path}. Give "
                "name:version or name:alias, and main.project_name=<project> for another project."
            )
        return self._project.find_maker(version.name)

    def _steps_of(self, run_id: str) -> list[str]:
        """Return the runs of the steps that a run stands for."""
        run = self._get(run_id) or self._find_trial(run_id)
        if run is None:
            raise ReproduceError(
                f"There is no run {run_id!r} in the MLflow store {self._client.tracking_uri}. If "
                "it is elsewhere, set MLFLOW_TRACKING_URI, or call this in the folder where "
                "main.py was called. An artifact is given as name:version or name:alias."
            )
        if REUSED_FROM in run.data.tags:
            return [run.data.tags[REUSED_FROM]]
        below = self._children(run)
        if any(MACHINE in child.data.tags for child in below):
            trials = ", ".join(child.info.run_id for child in below)
            raise ReproduceError(f"The run {run_id} is a sweep. Give one of its trials: {trials}.")
        if not below and MLFLOW_PARENT_RUN_ID in run.data.tags and MACHINE not in run.data.tags:
            return [run_id]
        self._refuse_unless_well(run)
        if not below:
            raise ReproduceError(
                f"The run {run_id} ({run.data.tags.get(MLFLOW_RUN_NAME, '')}) has no steps below "
                "it: only runs of main.py can be run again, or steps that it ran."
            )
        return [child.data.tags.get(REUSED_FROM, child.info.run_id) for child in below]

    def _get(self, run_id: str) -> Run | None:
        try:
            return self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    def _find_trial(self, run_id: str) -> Run | None:
        """Return the pipeline run whose own run in W&B has this id: an agent's trial."""
        return next(iter(self._search(f"tags.`{TRIAL}` = '{run_id}'")), None)

    def _children(self, run: Run) -> list[Run]:
        return self._search(f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{run.info.run_id}'")

    def _search(self, condition: str) -> list[Run]:
        experiments = [found.experiment_id for found in self._client.search_experiments()]
        return list(self._client.search_runs(experiments, condition))

    def _refuse_unless_well(self, run: Run) -> None:
        if run.info.status != "FINISHED":
            state = "runs still" if run.info.status == "RUNNING" else "failed"
            name = run.data.tags.get(MLFLOW_RUN_NAME, "")
            raise ReproduceError(
                f"The run {run.info.run_id} ({name}) {state}: there is no result to compare with. "
                "What its steps made before that can be given by name, such as model_export:v3."
            )

    def _read(self, run_id: str) -> StepRun:
        run = self._get(run_id)
        if run is None:
            raise ReproduceError(
                f"The run {run_id}, which belongs to what is to be run again, isn't in the MLflow "
                f"store {self._client.tracking_uri}. Set MLFLOW_TRACKING_URI to the store of "
                "whoever ran it."
            )
        self._refuse_unless_well(run)
        name = run.data.tags[MLFLOW_RUN_NAME]
        parent = run.data.tags.get(MLFLOW_PARENT_RUN_ID)
        if parent is None:
            raise ReproduceError(
                f"The run {run_id} ({name}) is of no pipeline: only runs of main.py can be run "
                "again, or steps that it ran."
            )
        finished = self._project.find_complete_run(run_id, [])
        if finished is None:
            raise ReproduceError(
                f"The project {self._project.path} in W&B doesn't have the run {run_id} ({name}). "
                "Name its project by main.project_name=<project>."
            )
        # MLflow records parameters as it quotes them for the shell.
        parameters = {key: "".join(shlex.split(text)) for key, text in run.data.params.items()}
        return StepRun(
            name, run_id, run.info.start_time, parameters, finished, self._record(parent)
        )

    def _record(self, run_id: str) -> Record:
        if run_id not in self._records:
            run = self._get(run_id)
            record = load_record(self._client, run) if run else None
            if record is None:
                raise ReproduceError(
                    f"The pipeline run {run_id} left no record of its commit and config: it is of "
                    "a version of this project that kept none. What is made now can be reproduced."
                )
            self._records[run_id] = record
        return self._records[run_id]
