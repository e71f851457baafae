"""The steps of a pipeline, declared and then run.

What runs them is imported when there is something to run: mlflow alone takes longer to import than
it takes to see that nothing has changed.
"""

import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipeline import unchanged
from pipeline.compiling import compiled_ahead
from pipeline.config import parse_steps
from pipeline.registry import Registry, Version
from pipeline.report import Report
from pipeline.root import ROOT
from pipeline.schema import Config
from pipeline.signals import holding_signals
from pipeline.standby import IS_POSSIBLE
from pipeline.standbys import Standbys
from pipeline.steps import Artifact, Deferred, Made, Step, take_over
from pipeline.sweeps.process import THIS, postponed
from pipeline.trials import refuse_if_stopped
from pipeline.variables import inherited
from pipeline.wandb_target import choose


class Pipeline:
    """The steps of one pipeline run.

    As a context manager it holds signals to stop (see `pipeline.signals`), and knows the W&B that
    answers.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._executed = parse_steps(config.main.execute_steps)
        self._steps: list[Step] = []
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        refuse_if_stopped()
        with ExitStack() as resources:
            resources.enter_context(holding_signals())
            self._target = choose(self._config.main.wandb, os.environ)
            self._resources = resources.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._resources.__exit__(kind, error, traceback)

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

    def run(self) -> Report:
        """Run the steps that the config names, in the order in which they were declared.

        Raises:
            ArtifactError: A step needs what no step of this run makes and W&B doesn't have.
            EnvironmentManagerError: A step's environment can't be made.
            StepError: A step failed; the steps after it did not run.
        """
        steps = [step for step in self._steps if step.name in self._executed]
        report = Report(self._target, self._config)
        report.begin([step.name for step in steps])
        records = unchanged.recall(steps, self._config, self._target)
        if records:
            for step, record in zip(steps, records, strict=True):
                report.add(take_over(step, record))
            report.end()
            return report

        self._resources.enter_context(compiled_ahead())
        standbys = self._open_standbys([step.name for step in steps])

        from pipeline.execution import Execution

        with Execution(self._config, self._target, report, standbys) as execution:
            execution.run(steps)
        return report

    def _open_standbys(self, names: list[str]) -> Standbys | None:
        """Return what forks the steps; in a sweep it stays from trial to trial."""
        main = self._config.main
        if not main.preload or main.dry_run or not IS_POSSIBLE:
            return None
        standbys = THIS.standbys or Standbys(ROOT, is_kept=THIS.is_trial)
        if THIS.is_trial:
            THIS.standbys = standbys
        else:
            self._resources.callback(standbys.close)
            if not THIS.plan:  # the end of a sweep says nothing about the next pipeline
                self._resources.callback(standbys.note_ran)
        may_run = set(names) - postponed(self._config).keys()
        standbys.prepare_as_before(may_run, inherited())
        return standbys


def absolute_source(url: str) -> str:
    """Return a data set's URL or path; a relative path starts at the project's folder."""
    if "://" in url or url.startswith("file:"):
        return url
    return str(ROOT / Path(url).expanduser())
