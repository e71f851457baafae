"""Runs recorded steps again: their code, their config, and a W&B server and MLflow store apart.

Nothing of the original is written to: the server's data, MLflow's store and all outputs lie in one
folder, which may be thrown away. Only the environments are shared, which their content names.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml
from mlflow.projects.utils import load_project

from pipeline.environments import activation
from pipeline.record import Record
from pipeline.reproduce.errors import ReproduceError
from pipeline.reproduce.history import StepRun
from pipeline.wandb_target import WandbTarget
from wandb_server import paths, running, service

_CONFIG = "reproduced"
_KEPT = ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "MLFLOW_ENV_ROOT")


@dataclass(frozen=True)
class Part:
    """Steps that one pipeline run did one after the other.

    Attributes:
        record: The pipeline run.
        steps: The steps.
    """

    record: Record
    steps: list[StepRun]


def split(steps: list[StepRun]) -> list[Part]:
    """Split steps, in the order in which they ran, by the pipeline runs that ran them."""
    groups = [list(group) for _, group in groupby(steps, key=lambda step: step.record.run_id)]
    return [Part(group[0].record, group) for group in groups]


class Replay:
    """A folder in which pipelines run apart from everything else."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        """Take an empty folder.

        Args:
            folder: Where everything goes.
            say: Tells a person what a pipeline says, line by line.
        """
        self._folder, self._say = folder, say
        self._environment = _separate(folder)

    def start_server(self, project: Path, record: Record) -> WandbTarget:
        """Start the W&B server apart, with the code of a run.

        Args:
            project: The project's folder in a checkout.
            record: The run.

        Raises:
            ReproduceError: It doesn't start.
        """
        self._call(project, record, ["-m", "wandb_server", "start"], lambda _: None)
        with _data_folder(self._environment):
            server = running()
        if server is None:
            raise ReproduceError("The W&B server for the new runs has ended.")
        return WandbTarget(server.base_url, "reproduce", server.environment(), is_local=True)

    def run(self, part: Part, project: Path, steps: list[str], settings: dict[str, Any]) -> None:
        """Run steps again.

        Args:
            part: The recorded run.
            project: The project's folder in a checkout.
            steps: Names of the steps.
            settings: What differs from the recorded config, by dotted key.

        Raises:
            ReproduceError: A step failed.
        """
        own = yaml.safe_load((project / "config.yaml").read_text(encoding="utf-8"))
        changed = {
            "main.wandb": "local",
            "main.execute_steps": steps,
            "main.cache": False,
            "main.force_steps": [],
            "main.dry_run": False,
            # Nothing is in production where this runs, and nothing is to be.
            "evaluate.promote": "never",
            "hydra.run.dir": str(self._folder / "outputs"),
            **settings,
        }
        config = with_settings({**part.record.config, "hydra": own.get("hydra", {})}, changed)
        folder = self._folder / "config"
        folder.mkdir(exist_ok=True)
        text = yaml.safe_dump(
            {"defaults": ["config_schema", "_self_"], **config}, sort_keys=False, allow_unicode=True
        )
        (folder / f"{_CONFIG}.yaml").write_text(text, encoding="utf-8")
        options = ["--config-dir", str(folder), "--config-name", _CONFIG]
        self._call(project, part.record, ["main.py", *options], self._tell)

    def stop_server(self) -> None:
        """Stop the server, if it runs."""
        with _data_folder(self._environment):
            service.stop()

    def _tell(self, line: str) -> None:
        # The page that it links to is gone when this ends.
        if not line.startswith("See it at "):
            self._say(f"  | {line}".rstrip())

    def _call(
        self, project: Path, record: Record, words: list[str], tell: Callable[[str], None]
    ) -> None:
        """Run Python in the environment of a checkout."""
        manager = record.config["main"]["env_manager"]
        enter = activation(load_project(str(project)), project, manager)
        python = sys.executable if manager == "local" else "python"
        process = subprocess.Popen(
            ["bash", "-c", " && ".join([*enter, f'exec {python} "$@"']), "bash", *words],
            cwd=project,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = []
        with process, _interrupted_with_us(process):
            for line in process.stdout or ():
                said.append(line.rstrip("\n"))
                tell(said[-1])
        if process.returncode:
            raise ReproduceError(
                f"{words[-1] if words[0] == '-m' else words[0]} of the commit "
                f"{record.code.commit[:12]} failed with exit code {process.returncode}:\n"
                + "\n".join(said[-3:])
            )


def with_settings(config: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Return a config with some values set.

    Args:
        config: Nested dicts; stays as it is.
        settings: Values by dotted key.

    >>> with_settings({"a": {"b": 1, "c": 2}}, {"a.b": 3})
    {'a': {'b': 3, 'c': 2}}
    """
    for key, value in settings.items():
        first, _, rest = key.partition(".")
        inner = with_settings(config.get(first, {}), {rest: value}) if rest else value
        config = {**config, first: inner}
    return config


@contextmanager
def _interrupted_with_us(process: "subprocess.Popen[str]") -> Iterator[None]:
    """End a pipeline well, as Ctrl-C does, if this process is interrupted."""
    try:
        yield
    except BaseException:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise


def _separate(folder: Path) -> dict[str, str]:
    """Return the environment variables of pipelines that share nothing with the user's."""
    foreign = ("WANDB_", "MLFLOW_", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or not name.startswith(foreign)
    }
    return {
        **inherited,
        paths.VARIABLE: str(folder / "wandb"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONUNBUFFERED": "1",
    }


@contextmanager
def _data_folder(environment: dict[str, str]) -> Iterator[None]:
    """Let functions of wandb_server, which ask the environment, find the server apart."""
    before = os.environ.get(paths.VARIABLE)
    os.environ[paths.VARIABLE] = environment[paths.VARIABLE]
    try:
        yield
    finally:
        if before is None:
            del os.environ[paths.VARIABLE]
        else:
            os.environ[paths.VARIABLE] = before
