"""An environment is made once, and is whole whatever happened before."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow.projects.utils import load_project

from pipeline.environments import activation, check_manager
from pipeline.errors import EnvironmentManagerError

ROOT = Path(__file__).resolve().parents[2]
PREPARE = """
import sys
from pathlib import Path
from mlflow.projects.utils import load_project
from pipeline.environments import activation
folder = Path(sys.argv[1])
print(activation(load_project(str(folder)), folder, "uv")[0])
"""


def start_preparing(component: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PREPARE, str(component)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def has_six(activate: str) -> bool:
    command = f"{activate} && python -c 'import six'"
    return subprocess.run(["bash", "-c", command], check=False).returncode == 0


@pytest.mark.exhaustive
def test_processes_that_start_at_once_share_one_whole_environment(component: Path) -> None:
    processes = [start_preparing(component) for _ in range(3)]
    outputs = {process.communicate(timeout=120)[0].strip() for process in processes}

    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(outputs) == 1
    assert has_six(outputs.pop())


def test_an_environment_whose_maker_was_killed_is_made_afresh_and_that_is_told(
    component: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pipeline")
    process = start_preparing(component)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "envs").glob("*.unfinished")):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)

    activate = activation(load_project(str(component)), component, "uv")[0]

    assert has_six(activate)
    assert not list((tmp_path / "envs").glob("*.unfinished"))
    assert caplog.messages[0] == "Making the environment of component ..."


def test_an_environment_that_can_t_be_made_is_told_and_leaves_no_folder(
    component: Path, tmp_path: Path
) -> None:
    conda = (component / "conda.yml").read_text()
    (component / "conda.yml").write_text(conda.replace("six==1.17.0", "six==0.0.1"))

    (component / "constraints.txt").write_text("six==1.17.0\n")
    said = "environment of component can't be made with uv: .*six==0.0.1"
    lock = r"\nconstraints.txt is older than conda.yml. To renew it: python -m pipeline lock$"

    with pytest.raises(EnvironmentManagerError, match=f"(?s){said}.*{lock}"):
        activation(load_project(str(component)), component, "uv")

    # Beside it only the mark may stay, which makes the next one start afresh.
    assert [path for path in (tmp_path / "envs").glob("mlflow-*") if path.is_dir()] == []


@pytest.mark.parametrize(
    ("manager", "program"), [("uv", "uv"), ("conda", "conda"), ("virtualenv", "pyenv")]
)
def test_a_missing_manager_is_named_with_the_way_out(
    manager: str, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(EnvironmentManagerError, match=f"'{program}', which is not on the PATH"):
        check_manager(manager)


def test_local_needs_no_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    check_manager("local")
