"""How trials of a sweep are stopped that run in joblib's worker processes.

joblib knows no way to stop but to kill its workers and all below them, which leaves their runs
open. So a signal to stop is passed on to the workers instead. Each ends its trial as failed and
refuses further ones, and then the sweep is at its end. A worker whose sweep is gone, by `kill -9`
perhaps, stops itself in the same way.
"""

import gc
import multiprocessing
import os
import signal
import time
from contextlib import suppress
from threading import Thread
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode

from pipeline.errors import PipelineError
from pipeline.signals import STOP_SIGNALS, handle, ignore_signals
from pipeline.sweeps.forking import stop_forking

# Seconds between two looks at whether the sweep is still there.
_PAUSE = 1.0


class StoppedError(PipelineError):
    """A trial was stopped, or not begun, because its sweep was asked to stop."""


class _Worker:
    """What this process knows if it is a worker."""

    is_stopped = False
    has_trial = False
    is_watching = False
    is_child = False


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
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        if not _Worker.is_watching:
            _Worker.is_watching = True
            _Worker.is_child = os.getppid() == self._sweep
            gc.freeze()  # or joblib looks for garbage in all that was imported, after each trial
            gc.set_threshold(50_000)  # as in the sweep's own process: see pipeline.start
            Thread(target=_stop_with, args=[self._sweep], daemon=True).start()

    def on_job_end(self, *_: Any, **__: Any) -> None:
        """Take note that a trial has ended: between two of them there is nothing to stop."""
        if _Worker.has_trial and not _is_there(self._sweep):
            os._exit(1)  # nobody takes its result
        _Worker.has_trial = False


def _stop_with(sweep: int) -> None:
    """Stop this worker when the process of the sweep is gone."""
    while _is_there(sweep):
        time.sleep(_PAUSE)
    os.kill(os.getpid(), signal.SIGINT)
    while _Worker.has_trial:
        time.sleep(_PAUSE)
    os._exit(1)


def _is_there(sweep: int) -> bool:
    """Tell whether the process of the sweep has not ended."""
    if _Worker.is_child:
        return os.getppid() == sweep
    parent = multiprocessing.parent_process()  # as it is called although another process forked
    return parent is not None and parent.is_alive()


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
    if not multiprocessing.active_children():
        stop_forking()
        return False
    Thread(target=_stop_all, daemon=True).start()
    return True


def _stop_all() -> None:
    """Ask workers to stop until there are none: one that begins doesn't hear it yet."""
    while workers := multiprocessing.active_children():
        for worker in workers:
            if worker.pid is not None:
                with suppress(ProcessLookupError):  # it has just ended
                    os.kill(worker.pid, signal.SIGINT)
        time.sleep(_PAUSE)
