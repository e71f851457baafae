"""How the machine's cores are shared among trials that run side by side."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipeline.schema import RandomForest
from pipeline.sweeps.process import THIS


def count_workers(launcher: Mapping[str, Any]) -> int:
    """Return how many trials a launcher runs side by side; joblib's -1 means one a core."""
    wanted = int(launcher.get("n_jobs") or 1)
    return wanted if wanted > 0 else max(1, _count_cores() + 1 + wanted)


def share_cores(forest: RandomForest) -> RandomForest:
    """Return a forest's arguments with the number of cores, unless the user has chosen it.

    Alone on the machine, a pipeline takes all of them; trials that run side by side share them.

    Args:
        forest: Arguments as the config has them; n_jobs is null if it is to be found here.
    """
    if forest.n_jobs is not None:
        return forest
    is_alone = THIS.workers == 1
    return replace(forest, n_jobs=-1 if is_alone else _share(THIS.workers))


def thread_limits(workers: int) -> dict[str, str]:
    """Return the environment variables that give numerical libraries a worker's share of the cores.

    joblib sets them for a worker that it starts itself, but not for a fork. What the user has set
    stays.

    Args:
        workers: How many there are.
    """
    from joblib.parallel import ParallelBackendBase

    names = ParallelBackendBase.MAX_NUM_THREADS_VARS
    return {name: os.environ.get(name, str(_share(workers))) for name in names}


def _share(workers: int) -> int:
    """Return how many cores each of several workers has."""
    return max(1, _count_cores() // workers)


def _count_cores() -> int:
    """Return the number of cores that this process may use, by its affinity and its cgroup."""
    import joblib  # what runs trials side by side; nobody else needs it

    return int(joblib.cpu_count())
