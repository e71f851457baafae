"""Runs of a pipeline that was killed are marked as killed by the next one, and no others."""

import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from pipeline.abandoned import at_work, clear_abandoned, end_abandoned
from pipeline.root import ROOT
from tests.pipeline.test_locks import wait_until

KILLS_ITSELF = """
import os, signal, sys
from pathlib import Path
from pipeline.abandoned import at_work
with at_work(sys.argv[1], "0", Path(sys.argv[3]), Path(sys.argv[2])):
    os.kill(os.getpid(), signal.SIGKILL)
"""
FORKS = """
import os, sys
from pipeline.standby_process import make_temporary
print(make_temporary(), flush=True)
if not os.fork():
    sys.stdin.read()
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
    command = [sys.executable, "-c", KILLS_ITSELF, killed, str(locks), str(locks)]
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
    with at_work(killed, "0", locks, locks):
        left = (locks / f"pipeline-{killed}").read_bytes()
    (locks / f"pipeline-{killed}").write_bytes(left)
    with at_work(run, "0", locks, locks):
        monkeypatch.setattr("mlflow.get_tracking_uri", lambda: "sqlite:////elsewhere/mlflow.db")
        end_abandoned(locks)
        assert states(killed) == ["RUNNING"]
        monkeypatch.setattr("mlflow.get_tracking_uri", lambda: store)
        end_abandoned(locks)
        assert states(run, killed) == ["RUNNING", "KILLED"]

    assert [left.name for left in locks.iterdir()] == [f"left-{killed}"]


def test_a_killed_pipeline_s_folder_goes_when_its_steps_must_have_ended(
    locks: Path, tmp_path: Path
) -> None:
    killed, scratch = start(), tmp_path / "scratch"
    (scratch / "wandb").mkdir(parents=True)
    with at_work(killed, "0", scratch, locks):
        (mark,) = locks.iterdir()
        written = mark.read_bytes()
        clear_abandoned(locks)
    mark.write_bytes(written)  # as a kill would leave it

    end_abandoned(locks)
    clear_abandoned(locks)
    assert (scratch / "wandb").is_dir()

    (left,) = locks.iterdir()
    os.utime(left, (left.stat().st_mtime - 601,) * 2)
    clear_abandoned(locks)
    assert not scratch.exists()
    assert not list(locks.iterdir())


def test_the_folder_of_a_waiting_step_goes_when_no_process_is_left_that_uses_it(
    locks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    # The process that waited ends, and a child of it, the step, works on.
    waits = subprocess.Popen(
        [sys.executable, "-c", FORKS],
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert waits.stdin
    assert waits.stdout
    folder = Path(waits.stdout.readline().strip())
    waits.wait(60)

    clear_abandoned(locks)
    assert folder.is_dir()

    waits.stdin.close()  # which ends the child
    waits.stdout.close()

    def is_cleared() -> bool:
        clear_abandoned(locks)
        return not folder.exists()

    wait_until(is_cleared)
