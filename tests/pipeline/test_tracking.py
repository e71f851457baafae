"""MLflow's store is ready for any number of pipelines at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline import tracking
from pipeline.errors import TrackingError
from pipeline.schema import EnvManager

ROOT = Path(__file__).resolve().parents[2]
OPEN = """
import os, sys, mlflow
from pipeline import tracking
mlflow.set_tracking_uri(sys.argv[1])
experiment = tracking.open_experiment("songs", os.environ)
print(experiment, tracking.open_run(experiment, "trial", os.environ, is_trial=False))
"""


@pytest.mark.exhaustive
def test_pipelines_that_start_at_once_on_an_empty_store_share_it(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/empty.db"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, store],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    answers = [process.communicate(timeout=120)[0].split() for process in processes]

    assert len({experiment for experiment, _ in answers}) == 1
    assert len({run for _, run in answers}) == 3
    assert len(MlflowClient(store).search_runs([answers[0][0]])) == 3


def test_an_mlflow_server_that_is_down_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlflow.get_tracking_uri", lambda: "http://127.0.0.1:9")

    with pytest.raises(TrackingError, match=r"can't be used: .*Connection refused.*\nStart that"):
        tracking.open_experiment("songs", {})


@pytest.fixture
def outer() -> str:
    client = MlflowClient()
    return str(client.create_run(client.create_experiment("outer")).info.run_id)


def test_the_run_of_mlflow_run_is_the_pipeline_s(outer: str) -> None:
    assert tracking.open_run("0", "trial", {"MLFLOW_RUN_ID": outer}, is_trial=False) == outer
    assert MlflowClient().get_run(outer).info.run_name == "trial"


def test_a_trial_of_a_sweep_has_a_run_below_that_of_mlflow_run(outer: str) -> None:
    trial = tracking.open_run("0", "trial", {"MLFLOW_RUN_ID": outer}, is_trial=True)

    assert trial != outer
    assert MlflowClient().get_run(trial).data.tags["mlflow.parentRunId"] == outer


@pytest.mark.parametrize(
    ("wanted", "tag", "expected"),
    [
        (EnvManager.auto, "uv", "uv"),
        (EnvManager.auto, "conda", "conda"),
        (EnvManager.auto, None, "local"),
        (EnvManager.virtualenv, "uv", "virtualenv"),
    ],
)
def test_steps_use_the_manager_that_mlflow_run_was_started_with(
    wanted: EnvManager, tag: str | None, expected: str, outer: str
) -> None:
    if tag:
        MlflowClient().set_tag(outer, "mlflow.project.env", tag)

    assert tracking.resolve_manager(wanted, {"MLFLOW_RUN_ID": outer}) == expected


def test_without_mlflow_run_the_manager_is_uv() -> None:
    assert tracking.resolve_manager(EnvManager.auto, {}) == "uv"
