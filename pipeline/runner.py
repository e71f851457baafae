"""Runs the steps through MLflow, hands each the exact versions it needs, and reports."""

import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import mlflow
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from mlflow import MlflowClient
from mlflow.projects.utils import load_project

from pipeline import tracking
from pipeline.agent_run import open_trial
from pipeline.cache import StepCache
from pipeline.component import ComponentRunner, variables
from pipeline.config import parse_forced, parse_steps
from pipeline.environments import activation, check_manager
from pipeline.errors import StepError
from pipeline.facts import describe_environment
from pipeline.registry import FinishedRun, Registry, Version
from pipeline.report import Report
from pipeline.root import ROOT
from pipeline.schema import Config
from pipeline.steps import Artifact, Deferred, Made, Step, StepResult
from pipeline.trials import refuse_if_stopped
from pipeline.wandb_target import choose

Answer = TypeVar("Answer")


class Pipeline:
    """The steps of one pipeline run, declared first and then run.

    As a context manager it holds what a run needs: the W&B that answers, the MLflow run, a folder
    for files in passing. Everything that can be known to fail before the first step fails on
    entering it or at the start of `run`.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._executed = parse_steps(config.main.execute_steps)
        self._steps: list[Step] = []
        self._resources = ExitStack()
        self._page: str | None = None

    def __enter__(self) -> Self:
        with ExitStack() as resources:
            self._open(resources)
            self._resources = resources.pop_all()
        return self

    def _open(self, resources: ExitStack) -> None:
        refuse_if_stopped()
        main = self._config.main
        self._target = choose(main.wandb, os.environ)
        # This process asks W&B as well; it is told where by arguments, so that the next trial
        # of a sweep finds the user's own choice of W&B.
        for name in ("WANDB_ERROR_REPORTING", "NO_PROXY", "no_proxy"):
            if name in self._target.variables:
                os.environ[name] = self._target.variables[name]
        # One thread asks W&B, in the order of the questions; two make environments. After a
        # failure, nothing that waits there is begun.
        asker, workers = ThreadPoolExecutor(1), ThreadPoolExecutor(2)
        for executor in (asker, workers):
            resources.callback(executor.shutdown, wait=True, cancel_futures=True)
        is_trial = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
        tracking.quiet()
        experiment = tracking.open_experiment(main.project_name, os.environ)
        self._manager = tracking.resolve_manager(main.env_manager, os.environ)
        check_manager(self._manager)
        self._asker, self._workers = asker, workers
        scratch = Path(resources.enter_context(tempfile.TemporaryDirectory()))
        # wandb.Api makes a folder for each run it reads, in the system's temporary one by default.
        os.environ["WANDB_DIR"] = str(scratch)
        self._experiment = experiment
        self._cache = StepCache(
            MlflowClient(),
            self._ask,
            ROOT,
            describe_environment(self._manager),
            main.cache,
            parse_forced(main.force_steps),
        )
        if not main.dry_run:
            self._run_id = tracking.open_run(experiment, main.experiment_name, os.environ, is_trial)
            resources.enter_context(mlflow.start_run(run_id=self._run_id))
            self._trial = resources.enter_context(open_trial(main.experiment_name, os.environ))
            given = variables(self._target, main, scratch, self._run_id)
            self._components = ComponentRunner(ROOT, experiment, self._manager, scratch, given)
            resources.push(self._stop_after_a_failure)
        self._report = Report(self._target, self._config)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._resources.__exit__(kind, error, traceback)

    def _stop_after_a_failure(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._components.stop()

    @cached_property
    def _registry(self) -> Registry:
        return Registry(self._target, self._config.main.project_name)

    def _ask(self, question: Callable[[Registry], Answer]) -> "Future[Answer]":
        """Ask W&B while this thread goes on: the import of wandb alone takes a second."""
        return self._asker.submit(lambda: question(self._registry))

    def step(self, name: str, **parameters: Any) -> tuple[Artifact, ...]:
        """Declare a step; it runs when `run` is called, if the config names it.

        Args:
            name: The component's folder.
            parameters: Those of its MLproject. An Artifact is what an earlier step makes, Made
                names what this one makes, and a function is called when the step starts.

        Returns:
            The artifacts that it makes, in the order of their parameters.
        """
        outputs = tuple(
            Artifact(value.name, name) for value in parameters.values() if isinstance(value, Made)
        )
        self._steps.append(Step(name, parameters, outputs))
        return outputs

    def reference(self, data: Artifact, chosen: str | None) -> Deferred:
        """Return a function that finds what to compare `data` with.

        Args:
            data: An artifact that this pipeline makes.
            chosen: The user's choice of an artifact; None for the version of `data` which the
                model in production is from.
        """
        model, alias = (
            self._config.random_forest_pipeline.export_artifact,
            self._config.evaluate.production_alias,
        )

        def find(registry: Registry) -> Version | None:
            if chosen:
                return registry.require_reference(chosen)
            if model is None or data.name is None:
                return None
            return registry.find_ancestor(f"{model}:{alias}", data.name)

        return find

    def run(self) -> "Report":
        """Run the steps that the config names, in the order in which they were declared.

        Raises:
            ArtifactError: A step needs what no step of this run makes and W&B doesn't have.
            EnvironmentManagerError: A step's environment can't be made.
            StepError: A step failed; the steps after it did not run.
        """
        steps = [step for step in self._steps if step.name in self._executed]
        self._report.begin([step.name for step in steps])
        ready = self._ask(lambda _: None)
        if not self._target.is_local:
            ready.result()
        self._look_up_inputs(steps)
        for step in steps:
            step.look_up(self._ask)
        if self._config.main.dry_run:
            for step in steps:
                self._report.plan(step, self._plan(step))
            return self._report
        environments = {step.name: self._workers.submit(self._prepare, step.name) for step in steps}
        for step in steps:
            self._report.add(self._execute(step, environments[step.name]))
        mlflow.log_metrics(self._report.metrics())
        if self._trial:
            self._trial.log(self._report.metrics())
        self._report.end(self._page)
        return self._report

    def _look_up_inputs(self, steps: list[Step]) -> None:
        """Pin what steps that don't run now made earlier, before anything runs."""
        running = [step.name for step in steps]
        for step in steps:
            for artifact in step.inputs:
                if artifact.maker not in running and artifact.name and not artifact.version:
                    artifact.version = self._ask(
                        partial(
                            Registry.require_version,
                            name=artifact.name,
                            maker=artifact.maker,
                            needed_by=step.name,
                        )
                    ).result()

    def _prepare(self, name: str) -> None:
        folder = ROOT / name
        activation(load_project(str(folder)), folder, self._manager)

    def _execute(self, step: Step, environment: "Future[None]") -> StepResult:
        missing = [artifact for artifact in step.inputs if artifact.name is None]
        if missing:
            return StepResult(step.name, "skipped", note=f"{missing[0].maker} exported nothing")
        facts = self._cache.gather(step)
        with self._cache.turn(facts):
            record, why = self._cache.find(step, facts)
            if record:
                return self._reuse(step, record)
            started = time.monotonic()
            self._report.start_step(step, why)
            environment.result()
            run_id = self._components.run(step)
            finished = self._ask(partial(Registry.read_run, run_id=run_id)).result()
            MlflowClient().set_tag(run_id, "wandb.run_url", finished.url)
            self._page = finished.page
            self._pin_outputs(step, finished)
            if facts:
                self._cache.keep(step, run_id, facts)
        return StepResult(
            step.name,
            "done",
            time.monotonic() - started,
            _names(step.outputs),
            finished.summary,
        )

    def _plan(self, step: Step) -> str:
        """Say what would happen with a step, and pin what it would take over."""
        made_anew = [artifact for artifact in step.inputs if artifact.name and not artifact.version]
        if made_anew:
            return f"would run: {made_anew[0].maker} would make {made_anew[0].name} anew"
        if any(artifact.name is None for artifact in step.inputs):
            return "would be skipped: its input isn't exported"
        record, why = self._cache.find(step, self._cache.gather(step))
        if record is None:
            return f"would run{why and ': '}{why}"
        self._pin_outputs(step, record)
        return f"would be reused from {record.run_id}"

    def _reuse(self, step: Step, record: FinishedRun) -> StepResult:
        self._pin_outputs(step, record)
        self._page = record.page
        self._ask(partial(Registry.mark_reused, run_id=record.run_id)).result()
        tracking.log_reused(self._experiment, self._run_id, step.name, record)
        return StepResult(
            step.name,
            "reused",
            versions=_names(step.outputs),
            summary=record.summary,
            note=record.run_id,
        )

    def _pin_outputs(self, step: Step, finished: FinishedRun) -> None:
        for artifact in step.outputs:
            if artifact.name and artifact.name not in finished.versions:
                raise StepError(
                    f"The step {step.name!r} ended well but didn't say which version of "
                    f"{artifact.name!r} it made: it must set run.summary['output/{artifact.name}']."
                )
            artifact.version = finished.versions.get(artifact.name or "")


def _names(artifacts: tuple[Artifact, ...]) -> list[str]:
    return [artifact.version.name for artifact in artifacts if artifact.version]


def absolute_source(url: str) -> str:
    """Return a data set's URL or path; a relative path starts at the project's folder."""
    if urlsplit(url).scheme in ("http", "https", "file"):
        return url
    return str(ROOT / Path(url).expanduser())
