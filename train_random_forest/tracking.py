"""The step's W&B run and the artifacts that it uses."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import wandb
from rows import DataError
from settings import SettingsError


@contextmanager
def open_run(step: str, config: dict[str, Any]) -> Iterator[wandb.Run]:
    """Open the step's W&B run, which fails if the step does.

    Unlike the run's own `with`, this prints no traceback of an error that is expected.

    Raises:
        SettingsError: W&B is switched off.
    """
    run = wandb.init(job_type=step, config=config)
    try:
        refuse_offline(run)
        yield run
    except BaseException as error:
        run.summary["error"] = str(error)
        run.finish(exit_code=1)
        raise
    run.finish()


def refuse_offline(run: wandb.Run) -> None:
    """Raise SettingsError if W&B is switched off."""
    if run.offline or run.disabled:
        raise SettingsError(
            "WANDB_MODE is offline or disabled, but steps pass artifacts on through W&B: "
            "unset it, or set it to online."
        )


def use_artifact(run: wandb.Run, name: str) -> wandb.Artifact:
    """Look up an artifact that the run uses.

    Raises:
        DataError: There is none of that name.
    """
    try:
        return run.use_artifact(name)
    except (wandb.errors.CommError, ValueError) as error:
        raise DataError(
            f"artifact {name!r} can't be had: {error}. Is it spelled as name:version, and was it "
            "made in this project?"
        ) from error


def read_table(run: wandb.Run, name: str) -> pd.DataFrame:
    """Download an artifact that holds one Parquet file, and read it.

    Raises:
        DataError: There is no such artifact, or it holds no table.
    """
    artifact = use_artifact(run, name)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return pd.read_parquet(artifact.file(folder))
    except ValueError as error:
        raise DataError(f"artifact {name!r} holds no table in one Parquet file: {error}") from error


def check_artifact_name(parameter: str, name: str) -> None:
    """Ask the SDK, before work starts, whether an artifact may have this name.

    Raises:
        SettingsError: It may not.
    """
    try:
        wandb.Artifact(name, type="any")
    except ValueError as error:
        raise SettingsError(f"{parameter}={name!r}: {error}") from error


def log_artifact(run: wandb.Run, artifact: wandb.Artifact) -> str:
    """Log an artifact, and note its version in the run's summary; returns when it is stored.

    Returns:
        The version, such as v3: also when equal content made no new one.

    Raises:
        wandb.Error: It can't be stored.
    """
    name, logged = artifact.name, run.log_artifact(artifact)
    try:
        version = logged.wait().version
    except ValueError as error:  # what the SDK says of an upload that failed
        raise wandb.errors.CommError(f"artifact {name!r} can't be stored: {error}") from error
    run.summary[f"output/{name}"] = version
    return version
