"""What a pipeline run leaves in MLflow so that it can be run again: its code and its config."""

import platform
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mlflow import MlflowClient
from mlflow.entities import Run, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_GIT_DIRTY, MLFLOW_GIT_REPO_URL

from pipeline.git import Code, read_code
from pipeline.schema import Config
from pipeline.steps import plain

MACHINE = "record.machine"  # marks a run as one that has a record
TRIAL = "record.trial"  # the W&B run of a trial that an agent started
_FOLDER, _TROUBLE = "record.folder", "record.trouble"
_PLACE, _CONFIG, _PATCH = "record", "config.yaml", "changes.patch"


@dataclass(frozen=True)
class Record:
    """What is known of a pipeline run.

    Attributes:
        run_id: Its MLflow run.
        code: Its code.
        config: All of its config, interpolations resolved, with the environment manager that
            `auto` stood for.
        machine: Python and system that it ran on.
    """

    run_id: str
    code: Code
    config: dict[str, Any]
    machine: str


def keep_record(run_id: str, config: Config, manager: str, root: Path, trial: str | None) -> None:
    """Record a pipeline run that begins.

    Args:
        run_id: Its MLflow run.
        config: Its config.
        manager: The environment manager of its steps.
        root: Folder of main.py.
        trial: Id of its own W&B run, if an agent of a sweep started it.
    """
    code, client = read_code(root), MlflowClient()
    settings: dict[str, Any] = plain(config)
    settings["main"]["env_manager"] = manager
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
        (folder / _CONFIG).write_text(text, encoding="utf-8")
        if code.patch:
            (folder / _PATCH).write_bytes(code.patch)
        client.log_artifacts(run_id, name, _PLACE)
    tags = {
        MLFLOW_GIT_COMMIT: code.commit,
        MLFLOW_GIT_REPO_URL: code.remote,
        MLFLOW_GIT_DIRTY: str(code.dirty).lower() if code.commit else "",
        _FOLDER: code.folder,
        _TROUBLE: code.trouble,
        TRIAL: trial or "",
    }
    tags = {tag: value for tag, value in tags.items() if value}
    # The machine last: it says that the record is whole.
    tags[MACHINE] = f"Python {platform.python_version()} on {platform.platform()}"
    client.log_batch(run_id, tags=[RunTag(tag, value) for tag, value in tags.items()])


def load_record(client: MlflowClient, run: Run) -> Record | None:
    """Return the record of a pipeline run; None if it has none.

    Args:
        client: MLflow's store.
        run: The run.

    Raises:
        MlflowException: Its files are gone.
    """
    tags = run.data.tags
    if MACHINE not in tags:
        return None
    dirty = tags.get(MLFLOW_GIT_DIRTY) == "true"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(client.download_artifacts(run.info.run_id, _PLACE, name))
        config = yaml.safe_load((folder / _CONFIG).read_text(encoding="utf-8"))
        patch = folder / _PATCH
        changes = patch.read_bytes() if patch.exists() else b""
    code = Code(
        tags.get(MLFLOW_GIT_COMMIT, ""),
        tags.get(_FOLDER, ""),
        tags.get(MLFLOW_GIT_REPO_URL, ""),
        dirty,
        changes,
        tags.get(_TROUBLE, ""),
    )
    return Record(run.info.run_id, code, config, tags[MACHINE])
