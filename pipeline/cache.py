"""The step cache: a step that has run with the same facts before isn't run again.

The record lives with MLflow's runs: a step that ended well has its fingerprint as a tag and its
facts as a file. So whoever shares a tracking server shares the cache. A run that failed, was
killed, or whose artifacts are gone from W&B is no hit.
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mlflow import MlflowClient
from mlflow.entities import Run, RunTag
from mlflow.exceptions import MlflowException

from pipeline.environments import lock_folder
from pipeline.facts import Fact, Facts, differences, fingerprint, gather, observe, shorten
from pipeline.locks import locked
from pipeline.registry import FinishedRun, Registry, Version
from pipeline.signals import wait_for
from pipeline.steps import Alias, Step

FINGERPRINT = "step.fingerprint"
STEP = "step.name"
PROJECT = "step.project"
_FILE = "facts.json"


@dataclass(frozen=True)
class StepCache:
    """Finds and keeps records of steps.

    Attributes:
        client: MLflow's store.
        ask: Puts a question to W&B.
        root: Folder of the components.
        project: W&B project of the runs: what another one holds is of no use here.
        environment: Names what steps run in beside their own conda.yml.
        enabled: Whether a step may be reused; what ran is recorded in any case.
        forced: Steps that run even if nothing has changed.
    """

    client: MlflowClient
    ask: Callable[[Callable[[Registry], Any]], "Future[Any]"]
    root: Path
    project: str
    environment: str
    enabled: bool
    forced: tuple[str, ...]

    def gather(self, step: Step) -> Facts | None:
        """Return what a step depends on; None if its source doesn't tell whether it changed."""
        return gather(step, self.root / step.name, self.environment, self._holder)

    @contextmanager
    def turn(self, step: Step, facts: Facts | None) -> Iterator[None]:
        """Wait for pipelines that run a step with the same facts now, to reuse what they make."""
        if not self.enabled or facts is None:
            yield
            return
        lock = lock_folder() / f"step-{fingerprint(facts)}"
        with locked(lock, f"{step.name} has ended in another pipeline with the same input"):
            yield

    def find(self, step: Step, facts: Facts | None) -> tuple[FinishedRun | None, str]:
        """Return the run that a step needn't repeat.

        Returns:
            The run and an empty text; or None, and why the step must run (empty if it goes
            without saying).
        """
        if not self.enabled:
            return None, ""
        if step.name in self.forced:
            return None, "main.force_steps names it"
        if facts is None:
            return None, "its source doesn't tell whether it has changed"
        outputs = [artifact.name for artifact in step.outputs if artifact.name]
        runs = self._search(step.name, fingerprint(facts))
        for run in runs:
            run_id = run.info.run_id
            question = partial(Registry.find_complete_run, run_id=run_id, outputs=outputs)
            found: FinishedRun | None = wait_for(self.ask(question))
            if found:
                return found, ""
        gone = "what it made is not in this W&B project"
        return None, gone if runs else self._explain(step.name, facts)

    def keep(self, step: Step, run_id: str, facts: Facts) -> None:
        """Record that a step ended well.

        Args:
            step: The step.
            run_id: Its MLflow run.
            facts: Those that it started with.
        """
        left = facts | observe(step, self._holder)
        self.client.log_dict(run_id, left, _FILE)
        # Last, since they are what makes the run a hit.
        marks = self._marks(step.name) | {FINGERPRINT: fingerprint(left)}
        self.client.log_batch(run_id, tags=[RunTag(*mark) for mark in marks.items()])

    def _holder(self, alias: Alias) -> Version | None:
        name = f"{alias.artifact.name}:{alias.name}"
        version: Version | None = wait_for(self.ask(partial(Registry.find_version, name=name)))
        return version

    def _explain(self, step: str, facts: Facts) -> str:
        """Say what has changed since the step ran, of its last runs the one most like this."""
        runs = self._search(step)
        if not runs:
            return "it has not run in this project before"
        least: list[str] | None = None
        for old in (old for run in runs if (old := self._load(run))):
            changes = differences(old, facts)
            if least is None or len(changes) < len(least):
                least = changes
            if len(least) <= 1:  # no other run is more like this, and each takes a while to read
                break
        return "its last records can't be read" if least is None else shorten(least)

    @cached_property
    def _experiments(self) -> list[str]:
        """Ids of all experiments, asked for once: any may have the record."""
        return [found.experiment_id for found in self.client.search_experiments()]

    def _search(self, step: str, mark: str | None = None) -> list[Run]:
        wanted = self._marks(step) | ({FINGERPRINT: mark} if mark else {})
        conditions = [f"tags.`{name}` = '{value}'" for name, value in wanted.items()]
        return list(
            self.client.search_runs(
                self._experiments,
                " and ".join([*conditions, "attributes.status = 'FINISHED'"]),
                order_by=["attributes.start_time DESC"],
                max_results=5,
            )
        )

    def _marks(self, step: str) -> dict[str, str]:
        """Return the tags that a step's runs in this project have; quotes would end a condition."""
        return {STEP: step, PROJECT: quote(self.project)}

    def _load(self, run: Run) -> Facts | None:
        """Return the facts of a run; None if they can't be read."""
        with tempfile.TemporaryDirectory() as folder:
            try:
                path = self.client.download_artifacts(run.info.run_id, _FILE, folder)
            except MlflowException:
                return None
            facts = json.loads(Path(path).read_text())
        return {name: Fact(*fact) for name, fact in facts.items()}
