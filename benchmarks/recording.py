"""Takes down how main.py calls the steps, so that others can call them in just that way."""

import json
import os
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.place import BenchmarkError, Place

# main.py starts each step by the bash that it finds on the path; this one keeps a copy of the
# command, the W&B variables and the YAML parameters of each, and hands over to the real one.
_BASH = """#!/bin/sh
case "$2" in *"python run.py"*)
    folder={folder}/$(basename "$PWD")
    mkdir -p "$folder"
    printf %s "$2" > "$folder/command"
    env > "$folder/environment"
    find "$WANDB_DIR" -maxdepth 1 -name "*.yaml" -exec cp {{}} "$folder" \\;
esac
exec {bash} "$@"
"""
STEPS = ("download", "preprocess", "check_data", "segregate", "train_random_forest", "evaluate")


@dataclass(frozen=True)
class StepCall:
    """How main.py called a step, or how its plain script is called.

    Attributes:
        step: Name of the step.
        python: Interpreter of its environment.
        arguments: The program and its arguments, with exact artifact versions.
        variables: The W&B variables that all steps of all runs have in common.
        folder: Where it is called; None for a plain script, which reads and writes files in the
            folder that it is called in.
        modules: Folders whose modules it imports, besides the program's own.
    """

    step: str
    python: str
    arguments: list[str]
    variables: dict[str, str]
    folder: Path | None
    modules: tuple[str, ...] = ()

    def read(self, name: str) -> str:
        """Return the value of an argument."""
        return self.arguments[self.arguments.index(f"--{name}") + 1]

    def give(self, name: str, value: str) -> "StepCall":
        """Return the call with another value of an argument."""
        arguments = list(self.arguments)
        arguments[arguments.index(f"--{name}") + 1] = value
        return replace(self, arguments=arguments)

    def command(self) -> str:
        """Return shell words that become the step, to be used in its folder."""
        if self.folder:
            own = f"WANDB_JOB_TYPE={self.step}"
        else:
            own = f"PYTHONPATH={shlex.quote(os.pathsep.join(self.modules))}"
        return f"{own} exec {shlex.join([self.python, *self.arguments])}"

    def shell(self) -> str:
        """Return a line of shell that calls the step, in a shell of its own."""
        enter = f"cd {shlex.quote(str(self.folder))} && " if self.folder else ""
        return f"({enter}{self.command()})"


def write_calls(calls: list[StepCall], file: Path) -> Path:
    """Write calls down for a process that makes them itself: programs.py, or plain/single.py."""
    content = {
        step.step: {
            "folder": str(step.folder or ""),
            "modules": step.modules,
            "arguments": step.arguments,
        }
        for step in calls
    }
    file.write_text(json.dumps(content))
    return file


def start_recording(place: Place) -> tuple[Path, dict[str, str]]:
    """Return a folder for recordings, and the variables under which main.py fills it."""
    folder, shim = place.folder / "recorded", place.folder / "shim"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shim.mkdir(exist_ok=True)
    bash = shutil.which("bash", path=place.variables["PATH"])
    if bash is None:
        raise BenchmarkError("bash, which starts the steps, is not on the PATH.")
    (shim / "bash").write_text(_BASH.format(folder=shlex.quote(str(folder)), bash=bash))
    (shim / "bash").chmod(0o755)
    path = f"{shim}{os.pathsep}{place.variables['PATH']}"
    return folder, {**place.variables, "PATH": path}


def read_calls(folder: Path, place: Place) -> list[StepCall]:
    """Return the recorded calls in the order of the pipeline.

    Raises:
        BenchmarkError: There are none.
    """
    calls = [read_call(folder / name, place) for name in STEPS if (folder / name).exists()]
    if not calls:
        raise BenchmarkError("main.py started no step in the way that was expected.")
    return calls


def read_call(folder: Path, place: Place) -> StepCall:
    """Read one recorded call, with the paths of its YAML parameters led to their copies."""
    environment = parse_environment((folder / "environment").read_text())
    shared = select_variables(environment)
    scratch = environment["WANDB_DIR"]
    words = shlex.split((folder / "command").read_text().replace(scratch, str(folder)))
    activate = next((word for word in words if word.endswith("/bin/activate")), None)
    return StepCall(
        folder.name,
        str(Path(activate).with_name("python") if activate else place.python),
        words[words.index("run.py") :],
        {name: value.replace(scratch, str(place.scratch)) for name, value in shared.items()},
        place.project / folder.name,
    )


def parse_environment(text: str) -> dict[str, str]:
    """Return the variables of `env`'s output; only those of one line are whole."""
    return dict(line.split("=", 1) for line in text.split("\n") if "=" in line)


def select_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the W&B variables that all steps of all runs have in common.

    WANDB_SERVICE is none of them: the SDK sets it in a process that has used W&B, for its children.
    """
    own = ("WANDB_RUN_ID", "WANDB_JOB_TYPE", "WANDB_SERVER_DIR", "WANDB_SERVICE")
    return {k: v for k, v in environment.items() if k.startswith("WANDB_") and k not in own}
