"""The same work in one process, without tracking."""

import json
import os
from pathlib import Path

from benchmarks.contestants import Contestant
from benchmarks.place import HERE, Place
from benchmarks.recording import StepCall
from benchmarks.tools import make_steps_python, write_trials


def make_single(place: Place, calls: list[StepCall], table: Path) -> Contestant:
    """One script that does the work of all steps on a table."""
    arguments = place.folder / "single.json"
    arguments.write_text(json.dumps({step.step: step.arguments for step in calls}))
    # What it imports from these folders doesn't import wandb.
    folders = [str(place.project / name) for name in ("train_random_forest", "check_data")]
    return Contestant(
        "one script, no tracking",
        [str(find_python(place, calls)), str(HERE / "single.py"), str(arguments), str(table)],
        place.folder,
        {"PYTHONPATH": os.pathsep.join(folders)},
        gets_variables=False,
    )


def make_joblib(place: Place, calls: list[StepCall]) -> Contestant:
    """One script that fits the trials on two workers of joblib."""

    def change(number: int) -> list[str]:
        return [str(file) for file in write_trials(place.folder / "joblib trials", calls, number)]

    return make_single(place, calls, place.table).also(
        label="one script with joblib, no tracking", change=change
    )


def find_python(place: Place, calls: list[StepCall]) -> Path:
    """Return the Python of an environment for all steps, which is made once."""
    made = place.folder / "single" / "bin" / "python"
    return made if made.exists() else make_steps_python(place, calls, "single")
