"""joblib's workers, forked from one process that has imported what each of them needs.

joblib starts a worker as a Python of its own by default, and each takes seconds to import MLflow
and W&B: as long as many a trial's fit.
"""

import importlib
import logging
from collections.abc import Collection, Iterable
from pathlib import Path
from threading import Thread

from pipeline.cores import thread_limits
from pipeline.root import ROOT
from pipeline.signals import holding_signals
from pipeline.standbys import Standbys
from pipeline.sweeps.forking import fork_workers, start_forking
from pipeline.sweeps.process import THIS
from pipeline.variables import inherited

# What a trial imports, much of it when it first needs it.
_OF_TRIALS = (
    "pipeline.execution",
    "mlflow.store.tracking.sqlalchemy_store",
    "wandb.apis.public.artifacts",
    "git",
)
# What the end of a sweep needs besides.
_OF_THE_END = ("pipeline.sweeps.finish", "pipeline.sweeps.publish")


def prepare_workers(steps: Collection[str], workers: int) -> Path:
    """Let joblib fork its workers, and have imported what trials and the end of the sweep need.

    Args:
        steps: Those of the trials, and those that run once these have ended.
        workers: How many trials run side by side.

    Returns:
        Folder of the steps' fork servers, which the workers share.
    """
    start_forking(_OF_TRIALS)
    THIS.standbys = Standbys(ROOT)
    THIS.standbys.prepare_as_before(steps, inherited() | thread_limits(workers))
    # What is imported by half can't be imported again, and the end of a stopped sweep needs it.
    with holding_signals():
        fork_workers()
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # it tells of its font cache
    Thread(target=_import, args=[(*_OF_TRIALS, *_OF_THE_END)]).start()
    return THIS.standbys.home


def _import(names: Iterable[str]) -> None:
    """Import modules; in another thread than the main one, which alone hears signals."""
    for name in names:
        importlib.import_module(name)
