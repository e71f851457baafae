"""The same work without W&B: plain scripts, from a shell or in one process."""

import os
from pathlib import Path

from benchmarks.contestants import Contestant, write_script
from benchmarks.place import HERE, BenchmarkError, Place
from benchmarks.recording import STEPS, StepCall, write_calls
from benchmarks.tools import (
    TRAIN,
    WORKERS,
    Tool,
    adopt,
    depth_of,
    list_trials,
    make_folder,
    make_steps_python,
    vary,
    write_trials,
)

PLAIN = HERE / "plain"
# Steps whose modules each script imports; none of these imports wandb.
MODULES = {
    "download": ["download"],
    "check_data": ["check_data"],
    TRAIN: [TRAIN],
    # The first of equal names counts, and training's settings ask W&B nothing.
    "evaluate": [TRAIN, "evaluate"],
}


def make_plain(place: Place, calls: list[StepCall]) -> list[StepCall]:
    """Return how the plain scripts are called: as the steps are, with files named as artifacts.

    Raises:
        BenchmarkError: hydra_options leave out a step.
    """
    called = {step.step for step in calls}
    if missing := [name for name in STEPS if name not in called]:
        raise BenchmarkError(
            f"without W&B all steps run, and hydra_options leave out {', '.join(missing)}."
        )
    python = str(make_steps_python(place, calls, "single"))
    return [
        StepCall(
            step.step,
            python,
            [str(PLAIN / f"{step.step}.py"), *name_files(step.arguments[1:])],
            variables={},
            folder=None,
            modules=tuple(str(place.project / name) for name in MODULES.get(step.step, ())),
        )
        for step in calls
    ]


def name_files(words: list[str]) -> list[str]:
    """Return a step's arguments with names of files, which have no versions, for its artifacts."""
    return [
        word.partition(":")[0] if before.endswith("_artifact") else word
        for before, word in zip(["", *words], words, strict=False)
    ]


def make_single(place: Place, calls: list[StepCall], table: Path) -> Contestant:
    """One script that does the work of all plain ones on a table, in one process."""
    plain = make_plain(place, calls)
    folder = place.folder / "single work"
    folder.mkdir(exist_ok=True)
    arguments = write_calls(plain, folder / "calls.json")
    modules = dict.fromkeys(name for step in plain for name in step.modules)
    return Contestant(
        "one script, no tracking",
        [plain[0].python, str(PLAIN / "single.py"), str(arguments), str(table)],
        folder,
        # Training's modules come before those of evaluate that have the same names.
        {"PYTHONPATH": os.pathsep.join(modules)},
        gets_variables=False,
    )


def make_joblib(place: Place, calls: list[StepCall]) -> Contestant:
    """One script that fits the trials on two workers of joblib."""

    def change(number: int) -> list[str]:
        return [str(file) for file in write_trials(place.folder / "joblib trials", calls, number)]

    return make_single(place, calls, place.table).also(
        label="one script with joblib, no tracking", change=change
    )


def make_shell(place: Place, plain: list[StepCall]) -> Tool:
    """The plain scripts from a shell, which is told what to run when max_depth has changed."""
    folder = make_folder(place, "shell", plain)
    settings = folder / "model_config.yaml"
    calls = adopt(plain, settings)
    steps = Contestant("six scripts", write_script(folder / "six.sh", calls), folder)
    two = Contestant("two scripts", write_script(folder / "two.sh", calls[-2:]), folder)

    def change_depth(number: int) -> list[str]:
        settings.write_text(vary(settings.read_text(), max_depth=depth_of(number)))
        return []

    def change_trials(number: int) -> list[str]:
        files = write_trials(folder / "trials", plain, number)
        return ["-c", script_trials(calls, list_trials(plain, files))]

    trials = Contestant("scripts, two at a time", ["bash"], folder, change=change_trials)
    return Tool(steps, depth=two.also(change=change_depth), trials=trials)


def script_trials(calls: list[StepCall], trials: list[dict[str, str]]) -> str:
    """Return a shell script: each worker trains every so many-th trial, then one is evaluated."""
    by_name = {step.step: step for step in calls}
    lines = ["set -e"]
    for worker in range(WORKERS):
        trained = []
        for trial in trials[worker::WORKERS]:
            step = by_name[TRAIN]
            for name, value in trial.items():
                step = step.give(name, value)
            trained.append(step.shell())
        lines.append(f"{{ {' && '.join(trained)}; }} & pid{worker}=$!")
    waits = [f"wait $pid{worker}" for worker in range(WORKERS)]
    return "\n".join([*lines, *waits, by_name["evaluate"].shell()])
