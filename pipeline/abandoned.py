"""What pipelines that were killed leave: runs in MLflow that look alive, and temporary folders.

A pipeline holds a lock file that is named after its run. The operating system frees the lock
however the pipeline ends, and its file is still there if it was killed: so the next pipeline knows.
"""

import fcntl
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import RunStatus
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from pipeline.standby_process import STANDBY_LOCKS

logger = logging.getLogger(__name__)

_PREFIX, _LEFT = "pipeline-", "left-"
# Seconds after which no step of a pipeline that was killed is at work any more: see pipeline.leash.
_AGE = 600


@contextmanager
def at_work(run_id: str, experiment_id: str, scratch: Path, folder: Path) -> Iterator[None]:
    """Let others know that a pipeline is at work, until the block ends or the process is killed.

    Args:
        run_id: The pipeline's run in MLflow.
        experiment_id: The experiment of this run and those of its steps.
        scratch: The pipeline's temporary folder.
        folder: Folder of the lock files that all pipelines of a user look at.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mark, draft = folder / f"{_PREFIX}{run_id}", folder / f".{run_id}"
    with draft.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        json.dump([mlflow.get_tracking_uri(), experiment_id, str(scratch)], file)
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
                store, experiment, _ = json.load(file)
                if store == mlflow.get_tracking_uri():
                    run = mark.name.removeprefix(_PREFIX)
                    _end(run, experiment)
                    os.utime(mark)  # its steps may still be ending their runs
                    mark.rename(folder / f"{_LEFT}{run}")
        except (BlockingIOError, FileNotFoundError):
            continue  # its pipeline is at work, or has just ended


def clear_abandoned(folder: Path) -> None:
    """Remove the temporary folders of pipelines, and of waiting steps, that were killed.

    Args:
        folder: Folder of the lock files that all pipelines of a user look at.
    """
    for left in folder.glob(f"{_LEFT}*"):
        with suppress(FileNotFoundError):  # another pipeline is faster
            if time.time() - left.stat().st_mtime > _AGE:
                *_, scratch = json.loads(left.read_text(encoding="utf-8"))
                shutil.rmtree(scratch, ignore_errors=True)
                left.unlink()
    for lock in Path(tempfile.gettempdir()).glob(STANDBY_LOCKS):
        # Its step is at work or waits, it is somebody else's, or it has just gone.
        with suppress(BlockingIOError, PermissionError, FileNotFoundError), lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)


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
