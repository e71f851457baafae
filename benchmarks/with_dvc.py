"""The six steps as a DVC pipeline."""

import json
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.contestants import Contestant
from benchmarks.place import HERE, Place, call
from benchmarks.recording import StepCall
from benchmarks.tools import (
    TRAIN,
    WORKERS,
    Tool,
    adopt,
    depth_of,
    make_folder,
    variables_for,
    vary,
    write_trials,
)

# Arguments that name what a plain script reads, and what it makes.
TAKEN = {
    "preprocess": ["input_artifact"],
    "check_data": ["sample_artifact"],
    "segregate": ["input_artifact"],
    TRAIN: ["train_artifact"],
    "evaluate": ["model_artifact", "test_artifact"],
}
MADE = {
    "download": ["output_artifact"],
    "preprocess": ["output_artifact"],
    "check_data": ["report_artifact"],
    "segregate": ["train_artifact", "test_artifact"],
    TRAIN: ["export_artifact"],
    "evaluate": ["card_artifact"],
}

# Each worker has a copy of the pipeline, as `dvc exp` gives one to each of its workers.
_TRIALS = """
set -e
work() {
    cd "$1"; shift
    for settings; do cp "$settings" params.yaml; dvc repro "$TRAIN"; done
}
"""


def make_dvc(place: Place, calls: list[StepCall]) -> Tool:
    """A DVC pipeline whose stages call the steps as the shell does.

    Without a git repository around it, and with nothing in its cache, DVC has the least to do. What
    it looks at is what main.py looks at: the source, the steps' files, the settings of the model.
    """
    dvc = place.tool("dvc", HERE / "dvc.txt").with_name("dvc")
    folder = make_folder(place, "dvc", calls)
    settings = folder / "params.yaml"
    variables = {
        **variables_for("dvc"),
        "DVC_SITE_CACHE_DIR": str(place.folder / "dvc cache"),
        "PATH": f"{dvc.parent}:{place.variables['PATH']}",
        "TRAIN": TRAIN,
    }
    stages = make_stages(place, adopt(calls, settings))
    # JSON is YAML as well.
    (folder / "dvc.yaml").write_text(json.dumps({"stages": stages}, indent=1))
    environment = {**place.variables, **variables}
    call([str(dvc), "init", "--quiet", "--no-scm"], folder, environment)
    for setting in ("analytics", "check_update"):
        call([str(dvc), "config", f"core.{setting}", "false"], folder, environment)

    def change_depth(number: int) -> list[str]:
        settings.write_text(vary(settings.read_text(), max_depth=depth_of(number)))
        return []

    def change_trials(number: int) -> list[str]:
        files = write_trials(place.folder / "dvc trials", calls, number)
        copies = [folder, *(place.folder / f"{folder.name} {n}" for n in range(1, WORKERS))]
        for copy in copies[1:]:
            shutil.copytree(folder, copy, dirs_exist_ok=True)
        return ["-c", "\n".join([_TRIALS, *script_trials(copies, files)])]

    again = Contestant("dvc repro", [str(dvc), "repro"], folder, variables)
    script = Contestant("dvc repro, two copies", ["bash"], folder, variables)
    return Tool(
        steps=again.also(label="dvc repro -f", command=[*again.command, "-f"]),
        unchanged=again,
        depth=again.also(change=change_depth),
        trials=script.also(change=change_trials),
    )


def make_stages(place: Place, calls: list[StepCall]) -> dict[str, dict[str, object]]:
    """Describe the stages, one after the other."""
    stages: dict[str, dict[str, object]] = {}
    before = [str(place.table)]
    for step in calls:
        command, made = (command_step if step.folder else command_script)(step)
        code = [*code_of(place.project / step.step), *programs_of(step)]
        taken = [] if step.folder else files_of(step, TAKEN)
        stages[step.step] = {
            "cmd": command,
            "deps": [*map(str, sorted(code)), *dict.fromkeys([*before, *taken])],
            **({"params": ["random_forest", "tfidf"]} if step.step == TRAIN else {}),
            "outs": [{name: {"cache": False}} for name in made],
        }
        before = made
    return stages


def command_step(step: StepCall) -> tuple[str, list[str]]:
    """Return how a step is called, and the small file that it leaves, from which the order comes.

    The tables pass through W&B as they do elsewhere.
    """
    command, done = step.shell(), f"{step.step}.done"
    if step.step == TRAIN:
        # From the step's folder, where the stage began: each copy has settings of its own.
        given = shlex.quote(step.read("model_config"))
        command = command.replace(given, '"$OLDPWD"/params.yaml')
    return f"{command} && cp params.yaml {done}", [done]


def command_script(step: StepCall) -> tuple[str, list[str]]:
    """Return how a plain script is called, and the files that it makes."""
    call = step.give("model_config", "params.yaml") if step.step == TRAIN else step
    return call.command(), files_of(step, MADE)


def files_of(step: StepCall, names: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the files that a plain script's arguments name."""
    return [step.read(name) for name in names.get(step.step, ())]


def programs_of(step: StepCall) -> list[Path]:
    """Return a plain script's own file; that of a step is in the step's folder."""
    return [] if step.folder else [Path(step.arguments[0])]


def code_of(folder: Path) -> Iterable[Path]:
    """Return the files of a step that main.py looks at."""
    return (path for path in folder.iterdir() if path.is_file() and path.suffix != ".md")


def script_trials(copies: list[Path], files: list[Path]) -> list[str]:
    """Return shell lines: each copy takes every so many-th of the trials, the first evaluates."""
    lines = [
        f"work {shlex.join([str(copy), *map(str, files[number :: len(copies)])])} & pid{number}=$!"
        for number, copy in enumerate(copies)
    ]
    return [*lines, *(f"wait $pid{number}" for number in range(len(copies))), "dvc repro"]
