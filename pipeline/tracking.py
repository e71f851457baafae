"""MLflow's side: one store, one experiment, one run for the pipeline."""

import logging
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_PROJECT_ENV, MLFLOW_RUN_NAME

from pipeline.errors import TrackingError
from pipeline.locks import locked
from pipeline.registry import FinishedRun
from pipeline.schema import EnvManager

SECONDS_TO_ANSWER = 10.0
REUSED_FROM = "step.reused_from"


def quiet() -> None:
    """Keep MLflow's and Alembic's running commentary off the terminal."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # What it warns of while it makes an environment, it raises as well.
    for name in ("mlflow.utils.virtualenv", "mlflow.utils.file_utils"):
        logging.getLogger(name).setLevel(logging.ERROR)


def open_experiment(name: str, environment: Mapping[str, str]) -> str:
    """Return the experiment's id, with the store migrated and the experiment there.

    An SQLite store that two processes migrate at once is destroyed, hence the lock.

    Args:
        name: Taken unless `mlflow run` chose an experiment already.
        environment: Variables of this process.

    Raises:
        TrackingError: The store is a server that doesn't answer, or refuses what it is asked.
    """
    address = urlsplit(mlflow.get_tracking_uri())
    if address.scheme in ("http", "https"):
        return _ask_server(address.geturl(), name, environment)
    if address.scheme != "sqlite":
        return _experiment_id(name, environment)
    database = Path(address.path.removeprefix("/"))
    lock = database.with_name(f"{database.name}.lock")
    with locked(lock, f"another pipeline has prepared {database}"):
        return _experiment_id(name, environment)


def _ask_server(address: str, name: str, environment: Mapping[str, str]) -> str:
    try:
        requests.head(address, timeout=SECONDS_TO_ANSWER)  # MLflow would ask for four minutes
        return _experiment_id(name, environment)
    except (requests.RequestException, MlflowException) as error:
        raise TrackingError(
            f"The MLflow server can't be used: {str(error).splitlines()[0]}\n"
            "Start that server, or unset MLFLOW_TRACKING_URI to use mlflow.db in this folder."
        ) from error


def _experiment_id(name: str, environment: Mapping[str, str]) -> str:
    if chosen := environment.get("MLFLOW_EXPERIMENT_ID"):
        return chosen
    client = MlflowClient()
    experiment = client.get_experiment_by_name(name)
    return str(experiment.experiment_id if experiment else client.create_experiment(name))


def open_run(experiment_id: str, name: str, environment: Mapping[str, str], is_trial: bool) -> str:
    """Return the id of the pipeline's run: the one `mlflow run` opened, or a new one.

    Args:
        experiment_id: Experiment of a new run.
        name: Name of the run.
        environment: Variables of this process; MLFLOW_RUN_ID names the run of `mlflow run`.
        is_trial: Whether this is one trial of a sweep, which gets a run below the sweep's.
    """
    client, outer = MlflowClient(), environment.get("MLFLOW_RUN_ID")
    if outer and not is_trial:
        client.set_tag(outer, MLFLOW_RUN_NAME, name)
        return outer
    tags = {MLFLOW_RUN_NAME: name, **({MLFLOW_PARENT_RUN_ID: outer} if outer else {})}
    return str(client.create_run(experiment_id, tags=tags).info.run_id)


def log_reused(experiment_id: str, parent: str, step: str, record: FinishedRun) -> None:
    """Log a run for a step that was reused: it says from which run.

    Args:
        experiment_id: Experiment of the new run.
        parent: The pipeline's run.
        step: Name of the step.
        record: The run whose artifacts it took over.
    """
    client = MlflowClient()
    tags = {
        MLFLOW_RUN_NAME: f"{step} (reused)",
        MLFLOW_PARENT_RUN_ID: parent,
        REUSED_FROM: record.run_id,
        "wandb.run_url": record.url,
    }
    run = client.create_run(experiment_id, tags=tags)
    client.set_terminated(run.info.run_id)


def resolve_manager(wanted: EnvManager, environment: Mapping[str, str]) -> str:
    """Return the environment manager for the steps: uv, conda, virtualenv or local.

    auto is the one that `mlflow run` was started with, which its run is tagged with (no tag for
    local), and uv under `python main.py`.
    """
    if wanted != EnvManager.auto:
        return wanted.value
    outer = environment.get("MLFLOW_RUN_ID")
    if not outer:
        return EnvManager.uv.value
    return str(MlflowClient().get_run(outer).data.tags.get(MLFLOW_PROJECT_ENV, "local"))
