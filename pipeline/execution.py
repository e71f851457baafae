"""Runs declared steps through MLflow, and hands each the exact versions that it needs."""

import os
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import mlflow
from mlflow import MlflowClient
from mlflow.projects.utils import load_project

from pipeline import tracking
from pipeline.abandoned import at_work, clear_abandoned, end_abandoned
from pipeline.agent_run import open_trial
from pipeline.cache import StepCache
from pipeline.component import ComponentRunner
from pipeline.config import parse_forced, parse_versions
from pipeline.environments import activation, check_manager, lock_folder
from pipeline.errors import ConfigError
from pipeline.facts import Facts, describe_environment, fingerprint
from pipeline.record import keep_record
from pipeline.registry import FinishedRun, Registry
from pipeline.report import Report
from pipeline.root import ROOT
from pipeline.schema import Config
from pipeline.signals import wait_for
from pipeline.standbys import Standbys
from pipeline.steps import Step, StepResult, take_over
from pipeline.sweeps.process import THIS, postponed
from pipeline.trials import is_trial
from pipeline.unchanged import Memory, Reuse, remember
from pipeline.usage import working
from pipeline.variables import variables
from pipeline.wandb_target import WandbTarget

Answer = TypeVar("Answer")


class Execution:
    """What it takes to run steps: MLflow's store and run, the step cache, W&B's answers.

    Everything that can be known to fail before the first step fails on entering it or at the start
    of `run`.
    """

    def __init__(
        self, config: Config, target: WandbTarget, report: Report, standbys: Standbys | None
    ) -> None:
        self._config, self._target, self._report = config, target, report
        self._standbys = standbys
        self._resources = ExitStack()
        self._reuses: list[Reuse] = []

    def __enter__(self) -> Self:
        with ExitStack() as resources:
            self._open(resources)
            self._resources = resources.pop_all()
        return self

    def _open(self, resources: ExitStack) -> None:
        main = self._config.main
        self._target.prepare(os.environ)
        # One thread asks W&B, in the order of the questions; two make environments. After a
        # failure, nothing that waits there is begun.
        self._asker, self._workers = ThreadPoolExecutor(1), ThreadPoolExecutor(2)
        for executor in (self._asker, self._workers):
            resources.callback(executor.shutdown, wait=True, cancel_futures=True)
        tracking.quiet()
        self._experiment = tracking.open_experiment(main.project_name, os.environ)
        self._manager = tracking.resolve_manager(main.env_manager, os.environ)
        check_manager(self._manager)
        resources.enter_context(working(lock_folder()))
        # wandb-core of a step that was killed may just be leaving it.
        temporary = tempfile.TemporaryDirectory(prefix="pipeline-", ignore_cleanup_errors=True)
        scratch = Path(resources.enter_context(temporary))
        # wandb.Api makes a folder for each run it reads, in the system's temporary one by default.
        os.environ["WANDB_DIR"] = str(scratch)
        self._cache = StepCache(
            MlflowClient(),
            self._ask,
            ROOT,
            main.project_name,
            describe_environment(self._manager),
            main.cache,
            parse_forced(main.force_steps),
        )
        if not main.dry_run:
            self._run_id = tracking.open_run(
                self._experiment, main.experiment_name, os.environ, is_trial()
            )
            end_abandoned(lock_folder())
            clear_abandoned(lock_folder())
            resources.enter_context(at_work(self._run_id, self._experiment, scratch, lock_folder()))
            if THIS.notes:
                THIS.notes.mlflow_run = self._run_id
            resources.enter_context(mlflow.start_run(run_id=self._run_id))
            opened = open_trial(main.experiment_name, self._config.metrics, os.environ)
            self._trial = resources.enter_context(opened)
            trial = self._trial.id if self._trial else None
            self._recorded = self._workers.submit(
                keep_record, self._run_id, self._config, self._manager, ROOT, trial
            )
            given = variables(self._target, main, scratch, self._run_id)
            self._components = ComponentRunner(
                ROOT, self._experiment, self._manager, scratch, given, self._standbys
            )
            resources.push(self._stop_after_a_failure)

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

    def run(self, steps: list[Step]) -> None:
        """Run steps in their order, or, if the config wants no more, say what would run.

        Raises:
            ArtifactError: A step needs what no step of this run makes and W&B doesn't have.
            EnvironmentManagerError: A step's environment can't be made.
            StepError: A step failed; the steps after it did not run.
        """
        ready = self._ask(lambda _: None)
        if not self._target.is_local:
            wait_for(ready)
        self._look_up_inputs(steps)
        for step in steps:
            step.look_up(self._ask)
        if self._config.main.dry_run:
            for step in steps:
                self._report.plan(step, self._plan(step))
            return
        self._environments = {
            step.name: self._workers.submit(self._enter, step.name) for step in steps
        }
        for position, step in enumerate(steps):
            self._report.add(self._execute(step, steps[position + 1 :]))
        if THIS.notes:
            THIS.notes.take(steps, self._report.results, self._config.metrics[0])
        wait_for(self._recorded)
        mlflow.log_metrics(self._report.metrics())
        if self._trial:
            self._trial.log(self._report.metrics())
        self._report.end()
        if len(self._reuses) == len(steps):
            self._remember(steps)

    def _remember(self, steps: list[Step]) -> None:
        """Let the next pipeline know what the reuse of each step rested on."""
        inputs = {
            artifact.name: artifact.version
            for step in steps
            for artifact in step.inputs
            if artifact.name
        }
        answers = wait_for(self._ask(lambda registry: registry.answers))
        memory = Memory(self._manager, answers, inputs, self._reuses)
        remember(steps, memory, self._config, self._target)

    def _look_up_inputs(self, steps: list[Step]) -> None:
        """Pin what steps that don't run now made earlier, before anything runs."""
        running = [step.name for step in steps]
        wanted = parse_versions(self._config.main.versions)
        for step in steps:
            for artifact in step.inputs:
                if artifact.maker not in running and artifact.name and not artifact.version:
                    question = partial(
                        Registry.require_version,
                        name=wanted.pop(artifact.name, artifact.name),
                        maker=artifact.maker,
                        needed_by=step.name,
                    )
                    artifact.version = wait_for(self._ask(question))
        if wanted:
            raise ConfigError(
                f"main.versions: {', '.join(wanted.values())} can't be taken: no step of this run "
                f"takes it without making it anew. The steps are {', '.join(running)}."
            )

    def _enter(self, name: str) -> list[str]:
        folder = ROOT / name
        return activation(load_project(str(folder)), folder, self._manager)

    def _execute(self, step: Step, later: Iterable[Step]) -> StepResult:
        if waits := postponed(self._config).get(step.name):
            return StepResult(step.name, "skipped", note=waits)
        missing = [artifact for artifact in step.inputs if artifact.name is None]
        if missing:
            return StepResult(step.name, "skipped", note=f"{missing[0].maker} exported nothing")
        facts = self._cache.gather(step)
        with self._cache.turn(step, facts):
            record, why = self._cache.find(step, facts)
            if facts and record:
                self._components.note_reused(step.name)
                return self._reuse(step, facts, record)
            started = time.monotonic()
            self._report.start_step(step, why)
            wait_for(self._environments[step.name])
            self._prepare(later)
            run_id = self._components.run(step)
            finished = wait_for(self._ask(partial(Registry.read_run, run_id=run_id)))
            MlflowClient().set_tag(run_id, "wandb.run_url", finished.url)
            step.pin_outputs(finished)
            if facts:
                self._cache.keep(step, run_id, facts)
        return StepResult(
            step.name,
            "done",
            time.monotonic() - started,
            step.made,
            finished.summary,
            page=finished.page,
        )

    def _prepare(self, later: Iterable[Step]) -> None:
        """Have imported what the steps after one that runs need, which most likely run as well."""
        for step in later:
            if step.name not in postponed(self._config):
                self._components.prepare(step.name, self._environments[step.name].result)

    def _plan(self, step: Step) -> str:
        """Say what would happen with a step, and pin what it would take over."""
        if waits := postponed(self._config).get(step.name):
            return f"would be skipped: {waits}"
        made_anew = [artifact for artifact in step.inputs if artifact.name and not artifact.version]
        if made_anew:
            return f"would run: {made_anew[0].maker} would make {made_anew[0].name} anew"
        if any(artifact.name is None for artifact in step.inputs):
            return "would be skipped: its input isn't exported"
        record, why = self._cache.find(step, self._cache.gather(step))
        if record is None:
            return f"would run{why and ': '}{why}"
        step.pin_outputs(record)
        return f"would be reused from {record.run_id}"

    def _reuse(self, step: Step, facts: Facts, record: FinishedRun) -> StepResult:
        given = {
            name: wait_for(value)
            for name, value in step.parameters.items()
            if isinstance(value, Future)
        }
        self._reuses.append(Reuse(fingerprint(facts), given, record))
        wait_for(self._ask(partial(Registry.mark_reused, run_id=record.run_id)))
        tracking.log_reused(self._experiment, self._run_id, step.name, record)
        return take_over(step, record)
