"""Who is measured without W&B, beside main.py, which tracks everything."""

from collections.abc import Mapping
from typing import Any

from benchmarks.alone import make_joblib, make_plain, make_shell, make_single
from benchmarks.changes import make_main_tool
from benchmarks.place import Place
from benchmarks.recording import StepCall
from benchmarks.tools import DEPTHS, WORKERS, Tool

# By part: situations, attributes of Tool, and what the table calls them.
UNTRACKED = {
    "untracked": {
        "steps": "full run",
        "unchanged": "nothing changed",
        "depth": "only max_depth",
    },
    "untracked_trials": {"trials": f"{len(DEPTHS)} trials on {WORKERS} workers"},
}
LABELS = {
    "main": "python main.py, tracked",
    "single": "one process",
    "shell": "scripts from a shell",
    "dvc": "DVC",
    "metaflow": "Metaflow",
    "kedro": "Kedro",
}


def open_untracked(
    place: Place, overrides: list[str], calls: list[StepCall], makers: Mapping[str, Any]
) -> dict[str, Tool]:
    """Make all that run the plain scripts, and main.py, by name.

    Args:
        place: Where to run.
        overrides: Of main.py.
        calls: How main.py calls the steps.
        makers: What makes the pipeline a project of a tool, of those to measure.
    """
    plain = make_plain(place, calls)
    return {
        "main": make_main_tool(place, overrides),
        "single": Tool(make_single(place, calls, place.table), trials=make_joblib(place, calls)),
        "shell": make_shell(place, plain),
        **{name: make(place, plain) for name, make in makers.items()},
    }
