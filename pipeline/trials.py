"""How trials of a sweep are stopped that run in joblib's worker processes.

joblib knows no way to stop but to kill its workers and all below them, which leaves their runs
open. So a signal to stop is passed on to the workers instead. Each ends its trial as failed and
refuses further ones, and then the sweep is at its end.
"""

import multiprocessing
import os
import signal
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode

from pipeline.errors import PipelineError
from pipeline.signals import STOP_SIGNALS, handle, ignore_signals


class StoppedError(PipelineError):
    """A trial was stopped, or not begun, because its sweep was asked to stop."""


class _Worker:
    """What this process knows if it is a worker."""

    is_stopped = False
    has_trial = False


class StopTrials(Callback):
    """Hydra's callback that lets the worker of a trial hear signals to stop."""

    def on_job_start(self, *_: Any, **__: Any) -> None:
        """Take note that a trial begins."""
        if multiprocessing.current_process().name == "MainProcess":
            return
        _Worker.has_trial = True
        if not _Worker.is_stopped:
            for number in STOP_SIGNALS:
                handle(number, _stop_trial)

    def on_job_end(self, *_: Any, **__: Any) -> None:
        """Take note that a trial has ended: between two of them there is nothing to stop."""
        _Worker.has_trial = False


def _stop_trial() -> None:
    ignore_signals()
    _Worker.is_stopped = True
    if _Worker.has_trial:
        refuse_if_stopped()


def is_trial() -> bool:
    """Tell whether this process runs a trial of Hydra's now."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def refuse_if_stopped() -> None:
    """Raise StoppedError in a worker that was asked to stop."""
    if _Worker.is_stopped:
        raise StoppedError("The sweep was stopped, and this trial with it.")


def stop_workers() -> bool:
    """Ask the workers of this process to stop; return whether there are any."""
    workers = multiprocessing.active_children()
    for worker in workers:
        if worker.pid is not None:
            os.kill(worker.pid, signal.SIGINT)
    return bool(workers)
