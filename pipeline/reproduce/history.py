"""What happened: which steps led to an artifact or a run, in which pipeline runs."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from pipeline.record import MACHINE, TRIAL, Record, load_record
from pipeline.registry import OUTPUT, FinishedRun, Registry, Version
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

    def find_makers(self, name: str) -> Iterator[str]:
        """Find the runs that made a version.

        Equal content makes no new version, so there may be several; W&B's lineage knows the first.

        Args:
            name: name:vN.

        Yields:
            Their ids: the one that did so first, then the others, the newest first.

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
        yield str(maker.id)
        output, _, version = f"{OUTPUT}{name}".partition(":")
        alike = {"jobType": maker.job_type, "state": "finished"}
        for run in self._api.runs(self._path, alike, order="-created_at", lazy=False):
            if run.id != maker.id and run.summary_metrics.get(output) == version:
                yield str(run.id)

    def list_runs(self, step: str) -> list[str]:
        """Return the ids of the runs of a step, the oldest first."""
        self._api.flush()  # type: ignore[no-untyped-call]  # it would answer as before
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
        self._steps: dict[str, StepRun] = {}

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
                step = found[run_id] = self._read(run_id)
                waiting += [self._find_maker(name, step.record.run_id) for name in step.inputs]
        return sorted(found.values(), key=lambda step: step.started)

    def _maker(self, name: str) -> str:
        version: Version | None = self._project.find_version(name)
        if version is None:
            raise ReproduceError(
                f"There is no artifact {name!r} in the project {self._project.path}. Give "
                "name:version or name:alias, and main.project_name=<project> for another project."
            )
        return self._find_maker(version.name)

    def _find_maker(self, name: str, pipeline: str | None = None) -> str:
        """Return the run that made a version: one of this pipeline, or one of this store.

        If several pipelines made equal content, each goes back to its own steps, and not to those
        of another clone, whose store of MLflow isn't this one.
        """
        artifact = name.partition(":")[0]
        for run_id in self._list_steps(pipeline) if pipeline else []:
            run = self._get(run_id)
            if run and run.info.status == "FINISHED" and artifact in _parameters(run).values():
                made = self._read(run_id).finished.versions.get(artifact)
                if made and made.name == name:
                    return run_id
        makers = self._project.find_makers(name)
        first = next(makers)
        return next((one for one in chain([first], makers) if self._get(one)), first)

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
        below = self._children(run.info.run_id)
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
        return self._list_steps(run.info.run_id)

    def _list_steps(self, pipeline: str) -> list[str]:
        """Return the runs of a pipeline's steps; of those that it reused, where they ran."""
        below = self._children(pipeline)
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

    def _children(self, run_id: str) -> list[Run]:
        return self._search(f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{run_id}'")

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
        if run_id not in self._steps:
            self._steps[run_id] = self._read_anew(run_id)
        return self._steps[run_id]

    def _read_anew(self, run_id: str) -> StepRun:
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
        return StepRun(
            name, run_id, run.info.start_time, _parameters(run), finished, self._record(parent)
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


def _parameters(run: Run) -> dict[str, str]:
    # MLflow records parameters as it quotes them for the shell.
    return {key: "".join(shlex.split(text)) for key, text in run.data.params.items()}
