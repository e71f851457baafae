"""What the tests of all steps share."""

import importlib
import os
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.warm import Finished
from wandb_server import ensure_running

ROOT = Path(__file__).parents[2]
# What steps import, most of which takes longer than their work on small tables.
LIBRARIES = ("wandb", "mlflow.sklearn", "sklearn.ensemble", "pyarrow.parquet", "matplotlib.figure")


@pytest.fixture(scope="session")
def load_step():
    """Return a function from a step's name to its modules: load_step("download").fetch."""

    @cache
    def load(step: str) -> SimpleNamespace:
        folder = ROOT / step
        tests = {*folder.glob("test_*.py"), folder / "conftest.py"}
        names = [path.stem for path in folder.glob("*.py") if path not in tests]
        sys.path.insert(0, str(folder))
        try:
            return SimpleNamespace(**{name: importlib.import_module(name) for name in names})
        finally:
            sys.path.remove(str(folder))
            # Every step has a run.py: the next one must find its own.
            for name in names:
                sys.modules.pop(name, None)

    return load


@pytest.fixture(scope="session")
def step_environment():
    """Return a function from a project to the variables of a step at the local server."""
    server = ensure_running()

    def make(project: str) -> dict[str, str]:
        environment = os.environ | server.environment() | {"WANDB_PROJECT": project}
        # The tests' own use of the SDK leaves the address of its service there.
        environment.pop("WANDB_SERVICE", None)
        return environment

    return make


@pytest.fixture(scope="session")
def run_python(python, step_environment):
    """Return a function that runs a Python command against the session's local server.

    run_python("project", "run.py", "--x=1", cwd=folder) gives the finished process.
    """

    def run(project: str, *command: str, cwd: Path = ROOT) -> Finished:
        return python.run(*command, cwd=cwd, env=step_environment(project), libraries=LIBRARIES)

    return run


@pytest.fixture(scope="session")
def run_step(run_python):
    """Return a function that runs a step as a command.

    run_step("preprocess", "project", target="genre", ...) gives the finished process.
    """

    def run(step: str, project: str, **parameters: object) -> Finished:
        arguments = [f"--{name}={value}" for name, value in parameters.items()]
        return run_python(project, "run.py", *arguments, cwd=ROOT / step)

    return run


@pytest.fixture(scope="session")
def log_files(run_python):
    """Return a function that logs each file as an artifact of its own, under the file's name."""
    script = """
import pathlib, sys, wandb
with wandb.init(job_type="test") as run:
    for path in map(pathlib.Path, sys.argv[1:]):
        artifact = wandb.Artifact(path.name, type="table")
        artifact.add_file(str(path), name=path.name)
        run.log_artifact(artifact).wait()
"""

    def log(project: str, *paths: Path) -> None:
        done = run_python(project, "-c", script, *map(str, paths))
        assert done.returncode == 0, done.stderr

    return log


@pytest.fixture(scope="module")
def wandb_api():
    """Return the SDK's public API, connected to the session's local server.

    One for each module, since the server's tests tear down what an SDK in this process stands on.
    """
    import wandb

    server = ensure_running()
    return wandb.Api(
        overrides={"base_url": server.base_url, "entity": "local"}, api_key=server.api_key
    )
