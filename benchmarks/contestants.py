"""The ways to run the six steps that are compared."""

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.place import HERE, Place, call
from benchmarks.recording import StepCall


@dataclass(frozen=True)
class Contestant:
    """One way to run the six steps.

    Attributes:
        label: What the table calls it.
        command: Program and arguments.
        folder: Working folder.
        variables: Environment variables besides those of the place.
        gets_variables: Whether it has to be given the W&B variables of the steps.
    """

    label: str
    command: list[str]
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    gets_variables: bool = True


def make_main(place: Place, overrides: list[str]) -> Contestant:
    """The pipeline by `python main.py`."""
    command = [str(place.python), "main.py", *overrides]
    return Contestant("python main.py", command, place.project, gets_variables=False)


def make_mlflow(place: Place, overrides: list[str]) -> Contestant:
    """The pipeline by the mlflow command of the environment that the README makes."""
    command = [str(place.python.with_name("mlflow")), "run", ".", "--env-manager", place.manager]
    options = ["-P", f"hydra_options={shlex.join(overrides)}"]
    label = f"mlflow run . --env-manager {place.manager}"
    return Contestant(label, [*command, *options], place.project, gets_variables=False)


def make_floor(place: Place, calls: list[StepCall]) -> Contestant:
    """Six plain W&B scripts, called one after the other from one shell script."""
    script = place.folder / "six.sh"
    script.write_text("\n".join(["set -e", *(call.shell() for call in calls)]))
    return Contestant("six scripts from a shell", ["bash", str(script)], place.project)


def make_dvc(place: Place, calls: list[StepCall]) -> Contestant:
    """A DVC pipeline whose stages call the steps as the shell does.

    The tables pass through W&B as they do elsewhere; the order comes from an empty file that
    each stage leaves. Without a git repository around it, and with nothing in its cache, DVC
    has the least to do.
    """
    dvc = place.tool("dvc", HERE / "dvc.txt").with_name("dvc")
    folder = place.folder / "dvc pipeline"
    folder.mkdir()
    stages, before = {}, list[str]()
    for step in calls:
        done = f"{step.step}.done"
        stages[step.step] = {
            "cmd": f"(cd {shlex.quote(str(place.project))} && {step.shell()}) && touch {done}",
            "deps": before,
            "outs": [{done: {"cache": False}}],
        }
        before = [done]
    # JSON is YAML as well.
    (folder / "dvc.yaml").write_text(json.dumps({"stages": stages}, indent=1))
    call([str(dvc), "init", "--quiet", "--no-scm"], folder, place.variables)
    for setting in ("analytics", "check_update"):
        call([str(dvc), "config", f"core.{setting}", "false"], folder, place.variables)
    return Contestant("dvc repro -f", [str(dvc), "repro", "-f"], folder)


def make_metaflow(place: Place, calls: list[StepCall]) -> Contestant:
    """A Metaflow flow whose six steps run the steps' own programs in their processes.

    A step of Metaflow is a process already: a second one for the step's own environment would
    cost it more, so it gets one environment that holds what all steps need.
    """
    pins = [place.project / step.step / "constraints.txt" for step in calls]
    python = place.tool("metaflow", HERE / "metaflow.txt", *pins)
    folder = place.folder / "metaflow"
    arguments = {step.step: step.arguments for step in calls}
    (folder / "calls.json").write_text(json.dumps(arguments))
    variables = {
        "METAFLOW_HOME": str(folder / "settings"),
        "METAFLOW_USER": "benchmark",
        "BENCHMARK_CALLS": str(folder / "calls.json"),
        "BENCHMARK_PROJECT": str(place.project),
    }
    quick = ["--quiet", "--no-pylint", "--event-logger=nullSidecarLogger"]
    quick += ["--monitor=nullSidecarMonitor", "--metadata=local", "--datastore=local"]
    command = [str(python), str(HERE / "flow.py"), *quick, "run"]
    return Contestant("Metaflow", command, folder, variables)


OTHERS: dict[str, Callable[[Place, list[StepCall]], Contestant]] = {
    "floor": make_floor,
    "dvc": make_dvc,
    "metaflow": make_metaflow,
}
OURS: dict[str, Callable[[Place, list[str]], Contestant]] = {
    "main": make_main,
    "mlflow": make_mlflow,
}
