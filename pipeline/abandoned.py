"""MLflow's runs of pipelines that were killed, which nobody else would ever end.

A pipeline holds a lock file that is named after its run. The operating system frees the lock
however the pipeline ends, and its file is still there if it was killed: so the next pipeline knows.
"""

import fcntl
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import RunStatus
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

logger = logging.getLogger(__name__)

_PREFIX = "run-"


@contextmanager
def at_work(run_id: str, experiment_id: str, folder: Path) -> Iterator[None]:
    """Let others know that a pipeline is at work, until the block ends or the process is killed.

    Args:
        run_id: The pipeline's run in MLflow.
        experiment_id: The experiment of this run and those of its steps.
        folder: Folder of the lock files that all pipelines of a user look at.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mark, draft = folder / f"{_PREFIX}{run_id}", folder / f".{run_id}"
    with draft.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        json.dump([mlflow.get_tracking_uri(), experiment_id], file)
        file.flush()
        draft.rename(mark)  # whoever sees it finds it locked
        try:
            yield
        finally:
            mark.unlink()


def end_abandoned(folder: Path) -> None:
    """Mark runs as killed whose pipeline is gone, and say so; those of other stores stay.

    Args:
        folder: Folder of the lock files that all pipelines of a user look at.
    """
    for mark in sorted(folder.glob(f"{_PREFIX}*")):
        try:
            with mark.open("r+", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                store, experiment = json.load(file)
                if store == mlflow.get_tracking_uri():
                    _end(mark.name.removeprefix(_PREFIX), experiment)
                    mark.unlink()
        except (BlockingIOError, FileNotFoundError):
            continue  # its pipeline is at work, or has just ended


def _end(run_id: str, experiment_id: str) -> None:
    client, ended = MlflowClient(), []
    for of_it in (f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{run_id}'", f"attributes.run_id = '{run_id}'"):
        for run in client.search_runs([experiment_id], f"{of_it} and status = 'RUNNING'"):
            client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.KILLED))
            ended.append(run.info.run_name)
    if ended:
        logger.info(
            "An earlier pipeline was killed. Its runs in MLflow are now marked as such: %s (%s)\n",
            ", ".join(ended),
            run_id,
        )
