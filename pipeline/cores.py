"""How the machine's cores are shared among trials that run side by side."""

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
    return replace(forest, n_jobs=-1 if is_alone else max(1, _count_cores() // THIS.workers))


def _count_cores() -> int:
    """Return the number of cores that this process may use, by its affinity and its cgroup."""
    import joblib  # what runs trials side by side; nobody else needs it

    return int(joblib.cpu_count())
