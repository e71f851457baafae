"""The steps' environments: made once, whoever asks first, whole even after a kill.

MLflow takes an environment's folder for a finished environment. So here a lock is held while one
is made, and a mark stands beside it until it is complete: whoever gets the lock and finds a mark
knows that the maker died, and starts afresh. conda keeps its own records: for it there is the
lock alone.
"""

import logging
import re
import shutil
from pathlib import Path
from typing import Literal

from mlflow.exceptions import MlflowException
from mlflow.projects._project_spec import Project
from mlflow.utils.conda import get_or_create_conda_env
from mlflow.utils.environment import _PythonEnv
from mlflow.utils.process import ShellCommandException
from mlflow.utils.virtualenv import (
    _create_virtualenv,
    _get_mlflow_virtualenv_root,
    _get_virtualenv_activate_cmd,
    _get_virtualenv_name,
)

from pipeline.errors import EnvironmentManagerError
from pipeline.lock import CONSTRAINTS, LockError, is_stale
from pipeline.locks import locked
from pipeline.usage import note_made, note_used

logger = logging.getLogger(__name__)

PROGRAMS = {"uv": "uv", "conda": "conda", "virtualenv": "pyenv"}
INSTALL = {
    "uv": "pip install uv",
    "conda": "install Miniforge",
    "virtualenv": "install pyenv",
}


def check_manager(manager: str) -> None:
    """Raise EnvironmentManagerError unless the program that the manager needs is on the PATH.

    Args:
        manager: uv, conda, virtualenv or local.
    """
    program = PROGRAMS.get(manager)
    if program and not shutil.which(program):
        raise EnvironmentManagerError(
            f"The environment manager {manager!r} needs the program {program!r}, which is not on "
            f"the PATH. To get it: {INSTALL[manager]}. To use another one: "
            "main.env_manager=uv, conda, virtualenv or local (local runs the steps in the "
            "environment that main.py runs in)."
        )


def environment_root() -> Path:
    """Return the folder of all environments, those of other projects included."""
    return Path(_get_mlflow_virtualenv_root())


def locate(project: Project, folder: Path) -> Path:
    """Return the folder of the environment that a project leads to, made or not.

    Args:
        project: A loaded MLproject with a `conda_env`.
        folder: The project's folder.
    """
    python_env = _PythonEnv.from_conda_yaml(project.env_config_path)
    return environment_root() / str(_get_virtualenv_name(python_env, folder))


def lock_folder() -> Path:
    """Return the folder of the lock files that all pipelines of a user look at."""
    return environment_root() / ".locks"


def activation(project: Project, folder: Path, manager: str) -> list[str]:
    """Return shell commands that enter the project's environment, once it is complete.

    Args:
        project: A loaded MLproject with a `conda_env`.
        folder: The project's folder.
        manager: uv, conda, virtualenv or local; local needs no commands.

    Raises:
        EnvironmentManagerError: The environment can't be made; the installer's words are in it.
    """
    if manager == "local":
        return []
    locks = lock_folder()
    try:
        if manager == "conda":
            with locked(locks / "conda", "another conda environment is made"):
                commands: list[str] = get_or_create_conda_env(
                    project.env_config_path
                ).get_activate_command()
                return commands
        env_dir = locate(project, folder)
        if not env_dir.exists() or unfinished_mark(env_dir).exists():
            with locked(locks / env_dir.name, f"the environment of {folder.name} is made"):
                _create(env_dir, project, folder, "uv" if manager == "uv" else "virtualenv")
    except (MlflowException, ShellCommandException) as error:
        raise EnvironmentManagerError(
            f"The environment of {folder.name} can't be made with {manager}: {_find_cause(error)}"
            f"{_find_stale(folder / 'conda.yml')}"
        ) from error
    note_used(env_dir, folder)
    return [_get_virtualenv_activate_cmd(env_dir)]


def _find_cause(error: Exception) -> str:
    """Return the installer's own words, without the command that MLflow has put before them."""
    _, _, said = str(error).partition("STDERR:\n")
    cause = re.search(r"^error: .*", said, re.MULTILINE | re.DOTALL | re.IGNORECASE)
    return (cause[0] if cause else said or str(error)).strip()


def _find_stale(conda_file: Path) -> str:
    """Return how to renew the pins beside a conda.yml, if they are older; else an empty text."""
    try:
        if not (conda_file.with_name(CONSTRAINTS).exists() and is_stale(conda_file)):
            return ""
    except LockError:  # it isn't one that `lock` reads
        return ""
    return f"\n{CONSTRAINTS} is older than conda.yml. To renew it: python -m pipeline lock"


def unfinished_mark(env_dir: Path) -> Path:
    """Return the mark that stands beside an environment until it is complete."""
    return env_dir.with_name(f"{env_dir.name}.unfinished")


def _create(
    env_dir: Path, project: Project, folder: Path, manager: Literal["uv", "virtualenv"]
) -> None:
    """Make the environment while its lock is held."""
    mark = unfinished_mark(env_dir)
    if env_dir.exists() and not mark.exists():
        return
    # A killed maker's installer may live on for a moment and write into the folder again.
    attempts = 3 if mark.exists() else 1
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    logger.info("Making the environment of %s ...", folder.name)
    while True:
        shutil.rmtree(env_dir, ignore_errors=True)
        attempts -= 1
        try:
            _create_virtualenv(
                local_model_path=folder,
                python_env=_PythonEnv.from_conda_yaml(project.env_config_path),
                env_dir=env_dir,
                env_manager=manager,
                capture_output=True,
            )
            break
        except ShellCommandException:
            if not attempts:
                raise
    note_made(env_dir, folder)
    mark.unlink()
