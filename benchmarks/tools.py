"""What other tools are given: the steps' programs, a project in W&B, and the changes to make."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contestants import Contestant
from benchmarks.place import BenchmarkError, Place
from benchmarks.recording import StepCall

TRAIN = "train_random_forest"
DEPTHS = range(4, 16)  # of the trials
WORKERS = 2


@dataclass(frozen=True)
class Tool:
    """What runs the pipeline, in four situations; None where it isn't asked to.

    Attributes:
        steps: Runs all steps, whatever ran before.
        unchanged: Runs it once more when nothing has changed.
        depth: Runs what follows from another max_depth, which it writes down first.
        trials: Trains once for each of DEPTHS on WORKERS, then evaluates one model.
    """

    steps: Contestant
    unchanged: Contestant | None = None
    depth: Contestant | None = None
    trials: Contestant | None = None


def pick(tools: Mapping[str, Tool], situation: str) -> dict[str, Contestant]:
    """Return the contestants of one situation, by name."""
    found = {name: getattr(tool, situation) for name, tool in tools.items()}
    return {name: contestant for name, contestant in found.items() if contestant}


def make_folder(place: Place, tool: str, calls: list[StepCall]) -> Path:
    """Return a new folder for a tool's project, one for the steps and one for plain scripts."""
    folder = place.folder / f"{tool} {'pipeline' if calls[0].folder else 'untracked'}"
    folder.mkdir()
    return folder


def adopt(calls: list[StepCall], settings: Path) -> list[StepCall]:
    """Return the calls for a tool's project, whose models aren't known before.

    Args:
        calls: As main.py makes them.
        settings: File to write, in which the tool keeps the settings of the model.
    """
    settings.write_text("{}\n")
    adopted = []
    for step in calls:
        if step.step == TRAIN:
            settings.write_text(Path(step.read("model_config")).read_text())
            step = step.give("model_config", str(settings))
        if step.step == "evaluate" and step.folder:
            name = step.read("model_artifact").partition(":")[0]
            step = step.give("model_artifact", f"{name}:latest")
        adopted.append(step)
    return adopted


def variables_for(tool: str) -> dict[str, str]:
    """Return the variables by which a tool has a W&B project of its own, as main.py has."""
    return {"WANDB_PROJECT": f"by_{tool}"}


def make_steps_python(place: Place, calls: list[StepCall], name: str, *requirements: Path) -> Path:
    """Return the Python of an environment that holds what all steps need."""
    if place.manager == "local" and not requirements:
        return place.python
    pins = [place.project / step.step / "constraints.txt" for step in calls]
    return place.tool(name, *requirements, pins=pins)


def find_training(calls: list[StepCall]) -> StepCall:
    """Return the call of the step that trains.

    Raises:
        BenchmarkError: hydra_options leave it out.
    """
    for step in calls:
        if step.step == TRAIN:
            return step
    raise BenchmarkError(f"depth and trials need the step {TRAIN}: leave it in hydra_options.")


def depth_of(number: int) -> int:
    """Return a max_depth that no round before this one had, and neither has the config."""
    return 13 + number


def seed_of(number: int) -> int:
    """Return a random_state that makes the trials of a round new to every tool."""
    return 1000 + number


def vary(text: str, **values: int) -> str:
    """Return a model's settings, in YAML, with other values.

    Raises:
        BenchmarkError: They have no such key.
    """
    for name, value in values.items():
        text, count = re.subn(rf"^( *{name}:).*$", rf"\1 {value}", text, count=1, flags=re.M)
        if not count:
            raise BenchmarkError(f"the model's settings have no {name} to change.")
    return text


def list_trials(calls: list[StepCall], files: list[Path]) -> list[dict[str, str]]:
    """Return the arguments that make a trial of each file with settings.

    Models of steps are versions of one artifact, those of plain scripts are files of other names.
    """
    if find_training(calls).folder:
        return [{"model_config": str(file)} for file in files]
    return [
        {"model_config": str(file), "export_artifact": f"model of {file.stem}"} for file in files
    ]


def write_trials(folder: Path, calls: list[StepCall], number: int) -> list[Path]:
    """Write the settings of a round's trials, one file each; one core fits each trial's forest."""
    text = Path(find_training(calls).read("model_config")).read_text()
    folder.mkdir(exist_ok=True)
    files = [folder / f"depth {depth}.yaml" for depth in DEPTHS]
    for depth, file in zip(DEPTHS, files, strict=True):
        file.write_text(vary(text, max_depth=depth, n_jobs=1, random_state=seed_of(number)))
    return files
