"""Hydra's callback that keeps account of a sweep's trials, whatever sweeper and launcher run them.

A copy of it travels to joblib's workers with what `on_multirun_start` has found out. There it
writes down what comes of each trial, and says at once if one fails.
"""

import logging
import math
import os
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any
from uuid import uuid4

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from pipeline.config import parse_steps
from pipeline.cores import thread_limits
from pipeline.errors import PipelineError
from pipeline.root import ROOT
from pipeline.schema import SweepEvaluate
from pipeline.standby import IS_POSSIBLE
from pipeline.standbys import Standbys
from pipeline.sweeps.plan import Plan, make_plan
from pipeline.sweeps.process import THIS
from pipeline.sweeps.trial import Notes, Trial, write_trial
from pipeline.sweeps.workers import prepare_workers
from pipeline.trials import StoppedError

logger = logging.getLogger(__name__)


class TrackTrials(Callback):
    """Keeps account of the trials of a sweep; outside of one, says why a pipeline failed."""

    # All of it that a worker needs; None outside of a sweep.
    _plan: Plan | None = None
    # Folder of the steps' fork servers; None where each process has its own, or none.
    _servers: Path | None = None

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Check that the sweep makes sense.

        Hydra makes a mere warning of a callback's exception; what ends the program, it lets pass.
        """
        try:
            plan = make_plan(config, uuid4().hex)
        except PipelineError as error:
            sys.exit(str(error))
        THIS.plan = self._plan = plan
        if plan.workers > 1 and config.main.preload and IS_POSSIBLE:
            self._servers = prepare_workers(_steps_of(config), plan.workers)

    def on_job_start(self, *_: Any, **__: Any) -> None:
        """Begin to take notes of a trial."""
        if self._plan:
            THIS.is_trial, THIS.notes, THIS.workers = True, Notes(), self._plan.workers
            THIS.started_at = time.monotonic()
            if self._plan.workers > 1:
                os.environ.update(thread_limits(self._plan.workers))
            if self._servers and THIS.standbys is None:
                THIS.standbys = Standbys(ROOT, self._servers, is_kept=True)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        """Write down what came of a trial, and say it.

        Raises:
            SystemExit: A pipeline that is no trial failed. Hydra would first list all overrides.
        """
        if self._plan is None and isinstance(job_return._return_value, PipelineError):
            sys.exit(str(job_return._return_value))
        notes, THIS.notes, THIS.is_trial = THIS.notes, None, False
        if self._plan is None or notes is None:
            return
        value, failure = read_result(job_return)
        trial = Trial(
            sweep=self._plan.id,
            number=config.hydra.job.num,
            overrides=_by_key(job_return.overrides or ()),
            score=None if failure else value,
            error=failure,
            seconds=time.monotonic() - THIS.started_at,
            config=_plain(job_return.cfg),
            notes=notes,
        )
        write_trial(trial, Path(config.hydra.runtime.output_dir))
        _tell(trial, self._plan.varied)
        is_stopped = isinstance(job_return._return_value, StoppedError)
        if failure and (self._plan.is_one_batch or not is_stopped):
            # Told and written down. Hydra's own sweeper would end with the batch that it is in, as
            # it has to if others are to come and the sweep was stopped.
            job_return.return_value, job_return.status = math.nan, JobStatus.COMPLETED


def _steps_of(config: DictConfig) -> set[str]:
    """Return the step that trials most likely run, and the one that runs after them."""
    steps = {"train_random_forest"}
    if config.sweep.evaluate != SweepEvaluate.none:
        steps.add("evaluate")
    return steps.intersection(parse_steps(config.main.execute_steps))


def read_result(job: JobReturn) -> tuple[float | None, str]:
    """Return the number that a trial returned, and why it failed, or an empty text."""
    value = job._return_value  # its property raises what the trial raised
    if job.status == JobStatus.FAILED:
        return None, str(value) or type(value).__name__
    if not isinstance(value, int | float):
        return None, ""
    return float(value), "" if math.isfinite(value) else f"its score is {value}"


def _by_key(overrides: Any) -> dict[str, str]:
    pairs = [text.partition("=") for text in overrides]
    return {key: value for key, _, value in pairs}


def _plain(config: DictConfig | None) -> dict[str, Any]:
    plain = OmegaConf.to_container(config or OmegaConf.create(), resolve=True, enum_to_str=True)
    return {str(key): value for key, value in plain.items()} if isinstance(plain, dict) else {}


def _tell(trial: Trial, varied: Collection[str]) -> None:
    settings = [f"{key}={text}" for key, text in trial.overrides.items() if key in varied]
    given = f" ({', '.join(settings)})" if settings else ""
    if trial.error:
        logger.error("Trial %d failed%s: %s\n", trial.number, given, trial.error)
    elif trial.score is not None:
        logger.info("Trial %d: %.6f%s\n", trial.number, trial.score, given)
