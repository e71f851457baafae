"""Runs of a pipeline that was killed are marked as killed by the next one, and no others."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from pipeline.abandoned import at_work, end_abandoned
from pipeline.root import ROOT

KILLS_ITSELF = """
import os, signal, sys
from pathlib import Path
from pipeline.abandoned import at_work
with at_work(sys.argv[1], "0", Path(sys.argv[2])):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def start(name: str = "", parent: str | None = None) -> str:
    tags = {MLFLOW_PARENT_RUN_ID: parent} if parent else {}
    return str(MlflowClient().create_run("0", tags=tags, run_name=name).info.run_id)


def states(*runs: str) -> list[str]:
    return [MlflowClient().get_run(run).info.status for run in runs]


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    return tmp_path / "locks"


def test_a_killed_pipeline_s_runs_are_marked_and_that_is_told_once(
    locks: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    killed = start("deeper")
    step, ended, stranger = start("evaluate", killed), start("download", killed), start()
    MlflowClient().set_terminated(ended)
    command = [sys.executable, "-c", KILLS_ITSELF, killed, str(locks)]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == -9

    end_abandoned(locks)
    end_abandoned(locks)

    assert states(killed, step, ended, stranger) == ["KILLED", "KILLED", "FINISHED", "RUNNING"]
    (said,) = caplog.messages
    assert said.endswith(f"are now marked as such: evaluate, deeper ({killed})\n")


def test_a_pipeline_at_work_and_one_of_another_store_stay_as_they_are(
    locks: Path, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    run, killed = start(), start()
    with at_work(killed, "0", locks):
        left = (locks / f"run-{killed}").read_bytes()
    (locks / f"run-{killed}").write_bytes(left)
    with at_work(run, "0", locks):
        monkeypatch.setattr("mlflow.get_tracking_uri", lambda: "sqlite:////elsewhere/mlflow.db")
        end_abandoned(locks)
        assert states(killed) == ["RUNNING"]
        monkeypatch.setattr("mlflow.get_tracking_uri", lambda: store)
        end_abandoned(locks)
        assert states(run, killed) == ["RUNNING", "KILLED"]

    assert not list(locks.iterdir())
