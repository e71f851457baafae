"""The process that joblib's workers are forked from, where that is possible."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from multiprocessing import forkserver, resource_tracker


def start_forking(modules: Sequence[str]) -> None:
    """Start the process.

    It has no threads, and does nothing but import and fork.

    Args:
        modules: Those that it imports before it forks.
    """
    multiprocessing.set_forkserver_preload([*modules])
    # Where a sweep is killed, Python's and joblib's trackers remove what it has left, and warn of
    # it. They get the options that this process is thought to have been started with.
    sys.warnoptions.append("ignore:resource_tracker")
    resource_tracker.ensure_running()  # or the next call starts it, and unblocks signals
    # Ctrl-C reaches all processes of a terminal, and in the midst of an import it would show a
    # traceback. Workers unblock it when they can hear it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def stop_forking() -> None:
    """End the process, if it runs: what it was asked to fork would find its sweep gone."""
    # There is no other way to know it.
    process = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    if process is not None:
        os.kill(process, signal.SIGKILL)


def fork_workers() -> None:
    """Have joblib fork its workers from the process; joblib takes a second to import."""
    from joblib.externals.loky.backend.context import set_start_method

    set_start_method("forkserver", force=True)
