"""The ways to run the steps that need no other tool."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from benchmarks.place import Place
from benchmarks.recording import StepCall


def change_nothing(_: int) -> list[str]:
    """Change nothing before a round; the command is complete as it is."""
    return []


@dataclass(frozen=True)
class Contestant:
    """One way to run steps.

    Attributes:
        label: What the table calls it.
        command: Program and arguments.
        folder: Working folder.
        variables: Environment variables besides those of the place.
        gets_variables: Whether it has to be given the W&B variables of the steps.
        change: Makes the change that a round is about, given the round's number and before the
            clock starts; returns further arguments.
    """

    label: str
    command: list[str]
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    gets_variables: bool = True
    change: Callable[[int], list[str]] = change_nothing

    def also(self, **others: Any) -> Self:
        """Return one that differs in some attributes."""
        return replace(self, **others)


def make_main(place: Place, overrides: list[str]) -> Contestant:
    """The pipeline by `python main.py`."""
    command = [str(place.python), "main.py", *overrides]
    return Contestant("python main.py", command, place.project, gets_variables=False)


def make_mlflow(place: Place, overrides: list[str]) -> Contestant:
    """The pipeline by the mlflow command of the environment that the README makes."""
    command = _mlflow_run(place, place.manager)
    options = ["-P", f"hydra_options={shlex.join(overrides)}"]
    label = f"mlflow run . --env-manager {place.manager}"
    # It leaves an empty folder behind where temporary ones go.
    variables = {"TMPDIR": str(place.scratch)}
    return Contestant(label, [*command, *options], place.project, variables, gets_variables=False)


def make_empty(place: Place) -> Contestant:
    """The mlflow command alone: a project that does nothing, with a store of its own."""
    folder = place.folder / "empty"
    folder.mkdir()
    project = 'name: empty\nentry_points:\n  main: {command: "true"}\n'
    (folder / "MLproject").write_text(project)
    command = _mlflow_run(place, "local")
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    label = "mlflow run of a project that does nothing"
    return Contestant(label, command, folder, store, gets_variables=False)


def _mlflow_run(place: Place, manager: str) -> list[str]:
    return [str(place.python.with_name("mlflow")), "run", ".", "--env-manager", manager]


def make_floor(place: Place, calls: list[StepCall]) -> Contestant:
    """Six plain W&B scripts, called one after the other from one shell script."""
    command = write_script(place.folder / "six.sh", calls)
    return Contestant("six scripts from a shell", command, place.project)


def write_script(file: Path, calls: list[StepCall]) -> list[str]:
    """Write a shell script that makes the calls one after the other; return what runs it."""
    file.write_text("\n".join(["set -e", *(call.shell() for call in calls)]))
    return ["bash", str(file)]
