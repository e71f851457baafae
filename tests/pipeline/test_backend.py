"""A step is one process group: its end and its exit code are known."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import ExecutionException

from pipeline import backend, leash
from pipeline.signals import holding_signals, stop_on_signals
from pipeline.standbys import Standbys

WRITES = "import os, sys; open('written', 'w').write(repr((sys.argv[1:], dict(os.environ))))"
KILLS_ITSELF = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
# Ends on Ctrl-C in its own way; its child wouldn't end by itself.
WAITS = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open("child", "w").write(str(child.pid))
try:
    time.sleep(600)
except KeyboardInterrupt:
    open("ended", "w").write("well")
    sys.exit(3)
"""
STARTS_A_STEP = """
import os, sys, mlflow
from pipeline import backend
component, store = sys.argv[1:]
mlflow.set_tracking_uri(store)
backend.register(backend.StepBackend())
config = {"environment": dict(os.environ)}
mlflow.run(component, backend="step", backend_config=config, env_manager="local")
"""
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=[None, Standbys], ids=["in-its-turn", "ahead"])
def step_backend(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[backend.StepBackend]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    standbys = request.param and request.param(tmp_path)
    step_backend = backend.StepBackend(standbys)
    backend.register(step_backend)
    yield step_backend
    if standbys:
        standbys.close()


def run(component: Path, program: str, **parameters: str) -> None:
    (component / "run.py").write_text(program)
    mlflow.run(
        str(component),
        parameters=parameters,
        backend=backend.NAME,
        backend_config={"environment": dict(os.environ) | {"MARK": "1"}},
        env_manager="local",
        storage_dir=str(component),
    )


def status(process: backend.StepProcess) -> str:
    return MlflowClient().get_run(process.run_id).info.status


def test_a_step_gets_its_parameters_and_variables(
    component: Path, step_backend: backend.StepBackend
) -> None:
    run(component, WRITES, text="it's [a] *.txt")

    arguments, variables = eval((component / "written").read_text())  # noqa: S307  # own repr
    process = step_backend.started[0]
    assert arguments == ["it's [a] *.txt"]
    assert variables["MARK"] == "1"
    assert variables["WANDB_RUN_ID"] == variables["MLFLOW_RUN_ID"] == process.run_id
    # MLflow records parameters as it quotes them for the shell.
    recorded = MlflowClient().get_run(process.run_id).data.params["text"]
    assert shlex.split(recorded) == ["it's [a] *.txt"]
    assert (process.get_status(), status(process)) == ("FINISHED", "FINISHED")


@pytest.mark.parametrize(("program", "code"), [("raise SystemExit(4)", 4), (KILLS_ITSELF, -9)])
def test_a_failure_is_known_by_its_exit_code(
    component: Path, step_backend: backend.StepBackend, program: str, code: int
) -> None:
    with pytest.raises(ExecutionException):
        run(component, program)

    process = step_backend.started[0]
    assert (process.exit_code, status(process)) == (code, "FAILED")


def test_a_cancelled_step_ends_in_its_own_way_and_takes_its_children_along(
    component: Path,
) -> None:
    (component / "run.py").write_text(WAITS)
    group = leash.start(f"exec {sys.executable} run.py", component, os.environ)
    child = wait_for_child(component)

    run = MlflowClient().create_run("0")
    step = backend.StepProcess(run.info.run_id, group)
    step.cancel()

    assert (component / "ended").read_text() == "well"
    assert step.exit_code == 3
    assert (step.get_status(), status(step)) == ("FAILED", "FAILED")
    wait_for_end(child)


def test_a_step_ends_in_its_own_way_when_its_pipeline_is_killed(
    component: Path, store: str
) -> None:
    (component / "run.py").write_text(WAITS)
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTS_A_STEP, str(component), store],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    child = wait_for_child(component)

    starter.kill()
    starter.wait()

    wait_for_end(child)
    assert (component / "ended").read_text() == "well"


@pytest.mark.usefixtures("handlers")
def test_an_interrupt_while_a_step_is_started_finds_it(
    component: Path, step_backend: backend.StepBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = leash.start

    def start_and_interrupt(*given: Any) -> Any:
        started = start(*given)
        os.kill(os.getpid(), signal.SIGINT)
        return started

    def run_as_a_pipeline_does() -> None:
        with holding_signals():
            run(component, WAITS)

    monkeypatch.setattr(leash, "start", start_and_interrupt)
    stop_on_signals(lambda: False)

    with pytest.raises(KeyboardInterrupt):
        run_as_a_pipeline_does()

    step_backend.started[0].cancel()
    assert step_backend.started[0].exit_code != 0
    assert status(step_backend.started[0]) == "FAILED"


def wait_for_child(component: Path) -> int:
    """Return the process id of the child that WAITS has started."""
    child = component / "child"
    deadline = time.monotonic() + 60
    while not (child.exists() and child.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return int(child.read_text())


def wait_for_end(process: int) -> None:
    deadline = time.monotonic() + 60
    while is_alive(process):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
