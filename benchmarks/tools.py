"""What other tools are given: the steps' programs, a project in W&B, and the changes to make."""

import re
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
    """A tool that has the pipeline as a project of its own.

    Attributes:
        steps: Runs all steps, whatever ran before.
        unchanged: Runs it once more when nothing has changed.
        depth: Runs what follows from another max_depth, which it writes down first.
        trials: Trains once for each of DEPTHS on WORKERS, then evaluates one model; None for a
            tool that isn't asked to.
    """

    steps: Contestant
    unchanged: Contestant
    depth: Contestant
    trials: Contestant | None = None


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
        if step.step == "evaluate":
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
    return place.tool(name, *requirements, *pins)


def find_training(calls: list[StepCall]) -> StepCall:
    """Return the call of the step that trains.

    Raises:
        BenchmarkError: hydra_options leave it out.
    """
    for step in calls:
        if step.step == TRAIN:
            return step
    raise BenchmarkError(f"depth, trials and big need the step {TRAIN}: leave it in hydra_options.")


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


def write_trials(folder: Path, calls: list[StepCall], number: int) -> list[Path]:
    """Write the settings of a round's trials, one file each; one core fits each trial's forest."""
    text = Path(find_training(calls).read("model_config")).read_text()
    folder.mkdir(exist_ok=True)
    files = [folder / f"depth {depth}.yaml" for depth in DEPTHS]
    for depth, file in zip(DEPTHS, files, strict=True):
        file.write_text(vary(text, max_depth=depth, n_jobs=1, random_state=seed_of(number)))
    return files
