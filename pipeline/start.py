"""The start of main.py as a program: arguments, signals, exit code."""

import gc
import sys
from collections.abc import Callable
from threading import Event
from typing import Any

from pipeline.faults import explain, raised_by_hydra
from pipeline.overrides import expand_arguments
from pipeline.schema import register_schema
from pipeline.signals import stop_on_signals
from pipeline.sweeps.plan import Plan
from pipeline.sweeps.process import THIS
from pipeline.sweeps.trial import read_trials
from pipeline.trials import StoppedError, stop_workers


def run_main(task: Callable[..., Any]) -> int:
    """Run a Hydra task as the program's main function.

    Args:
        task: A function decorated with `hydra.main`.

    Returns:
        Exit code: 0, or 1 for what the user can mend or a sweep with a trial that failed, or 130
        after Ctrl-C or SIGTERM.

    Raises:
        SystemExit: A pipeline failed, and says why; or Hydra has shown what was asked for.
    """
    stopped = stop_on_signals(stop_workers)
    try:
        # Imports make hundreds of thousands of objects and no garbage: looking for it as often as
        # Python does by default takes a tenth of their time.
        gc.set_threshold(50_000)
        register_schema()
        sys.argv[1:] = expand_arguments(sys.argv[1:])
        with raised_by_hydra():
            task()
            if THIS.plan:
                return _finish_sweep(THIS.plan, task, stopped)
    except (KeyboardInterrupt, SystemExit):
        if not stopped.is_set():
            raise
        return _end_stopped()
    except Exception as error:
        if isinstance(error, StoppedError) and stopped.is_set():
            return _end_stopped()
        message = explain(error)
        if message is None:
            raise
        print(message, file=sys.stderr)  # noqa: T201
        return 1
    finally:
        if THIS.standbys:
            THIS.standbys.close()
        # At the end, Python would look for garbage in all that mlflow and wandb have built up: half
        # a second, for memory that the system takes back anyway.
        gc.freeze()
    return 0


def _finish_sweep(plan: Plan, task: Callable[..., Any], stopped: Event) -> int:
    if stopped.is_set():  # and its last trials had ended
        raise KeyboardInterrupt
    from pipeline.sweeps.finish import finish_sweep

    return finish_sweep(plan, task)


def _end_stopped() -> int:
    """Say that it was stopped, and what came of the trials if it was a sweep; return exit code."""
    if THIS.plan and (trials := read_trials(THIS.plan.folder, THIS.plan.id)):
        from pipeline.sweeps.finish import show_sweep

        show_sweep(THIS.plan, trials)
    print("\nStopped. What was running is marked as failed.", file=sys.stderr)  # noqa: T201
    return 130
