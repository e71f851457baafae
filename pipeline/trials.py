"""How trials of a sweep are stopped that run in joblib's worker processes.

joblib knows no way to stop but to kill its workers and all below them, which leaves their runs
open. So a signal to stop is passed on to the workers instead. Each ends its trial as failed and
refuses further ones, and then the sweep is at its end. A worker whose sweep is gone, by `kill -9`
perhaps, stops itself in the same way.
"""

import multiprocessing
import os
import signal
import time
from threading import Thread
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode

from pipeline.errors import PipelineError
from pipeline.signals import STOP_SIGNALS, handle, ignore_signals

# Seconds between two looks at whether the sweep is still there.
_PAUSE = 1.0


class StoppedError(PipelineError):
    """A trial was stopped, or not begun, because its sweep was asked to stop."""


class _Worker:
    """What this process knows if it is a worker."""

    is_stopped = False
    has_trial = False
    is_watching = False


class StopTrials(Callback):
    """Hydra's callback that lets the worker of a trial hear that it is to stop."""

    # Process of the sweep; a copy of this travels to the workers.
    _sweep = 0

    def on_multirun_start(self, *_: Any, **__: Any) -> None:
        """Take note of which process the sweep is."""
        self._sweep = os.getpid()

    def on_job_start(self, *_: Any, **__: Any) -> None:
        """Take note that a trial begins."""
        if multiprocessing.current_process().name == "MainProcess":
            return
        _Worker.has_trial = True
        if not _Worker.is_stopped:
            for number in STOP_SIGNALS:
                # SIGINT is what the sweep sends; one that was to be ignored, as by nohup, stays so.
                if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
                    handle(number, _stop_trial)
        if not _Worker.is_watching:
            _Worker.is_watching = True
            Thread(target=_stop_with, args=[self._sweep], daemon=True).start()

    def on_job_end(self, *_: Any, **__: Any) -> None:
        """Take note that a trial has ended: between two of them there is nothing to stop."""
        if _Worker.has_trial and os.getppid() != self._sweep:
            os._exit(1)  # nobody takes its result
        _Worker.has_trial = False


def _stop_with(sweep: int) -> None:
    """Stop this worker when the process of the sweep, its parent, is gone."""
    while os.getppid() == sweep:
        time.sleep(_PAUSE)
    os.kill(os.getpid(), signal.SIGINT)
    while _Worker.has_trial:
        time.sleep(_PAUSE)
    os._exit(1)


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
