"""Starts the programs of a clone as a person does, and reads what they print and leave behind."""

import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import wandb
from mlflow import MlflowClient

ROOT = Path(__file__).resolve().parents[2]


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without what its own use of wandb left in it."""
    return {name: os.environ[name] for name in os.environ if name != "WANDB_SERVICE"} | variables


def run(
    command: list[str], folder: Path, patience: float = 400, **variables: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=patience,
    )


def made(output: str) -> list[str]:
    """Return the versions that the summary names, in the order of the steps."""
    table = output[output.rindex("step  ") :]
    return re.findall(r"[\w.]+:v\d+", table[: table.index("\n\n")])


def open_store(folder: Path) -> tuple[MlflowClient, list[str]]:
    """Return a folder's MLflow store, and the ids of all experiments in it."""
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    return client, [experiment.experiment_id for experiment in client.search_experiments()]


def metrics(folder: Path) -> dict[str, float]:
    """Return the metrics of the newest run of all steps in the folder's MLflow store."""
    client, experiments = open_store(folder)
    whole = "tags.mlflow.runName = 'development' and metrics.`test/accuracy` >= 0"
    return dict(client.search_runs(experiments, whole)[0].data.metrics)


def wait_for_runs(api: wandb.Api, path: str, filters: dict[str, str], count: int = 1) -> list[Any]:
    """Wait until a project has so many runs; returns them."""
    deadline = time.monotonic() + 120
    while True:
        api.flush()
        found = list(api.runs(path, filters))
        if len(found) >= count:
            return found
        assert time.monotonic() < deadline, f"{len(found)} runs of {filters} began"
        time.sleep(0.05)


def processes_below(folder: Path) -> dict[int, str]:
    """Return the commands of the processes that work in a folder or below it, by their ids."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink().is_relative_to(folder):
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        except OSError:  # it has ended, or is somebody else's
            continue
    return found
