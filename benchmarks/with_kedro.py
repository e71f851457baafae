"""The six steps as a Kedro project."""

import shutil

from benchmarks.contestants import Contestant
from benchmarks.place import HERE, Place
from benchmarks.recording import StepCall, write_calls
from benchmarks.tools import (
    TRAIN,
    Tool,
    adopt,
    depth_of,
    make_folder,
    make_steps_python,
    variables_for,
)


def make_kedro(place: Place, calls: list[StepCall]) -> Tool:
    """A Kedro project with six nodes, each of which runs a step's program, all in one process.

    That is how Kedro runs by default, and the quickest way for it: libraries are imported once.
    """
    python = make_steps_python(place, calls, "kedro", HERE / "kedro.txt")
    folder = make_folder(place, "kedro", calls)
    shutil.copytree(HERE / "kedro_project", folder, dirs_exist_ok=True)
    settings = folder / "conf" / "base" / "parameters.yml"
    written = write_calls(adopt(calls, settings), folder / "calls.json")
    variables = {
        **variables_for("kedro"),
        "PYTHONPATH": str(HERE),
        "KEDRO_DISABLE_TELEMETRY": "1",
        "BENCHMARK_CALLS": str(written),
    }

    def make(label: str, *words: str) -> Contestant:
        command = [str(python.with_name("kedro")), "run", *words]
        return Contestant(label, command, folder, variables)

    def change_depth(number: int) -> list[str]:
        return [f"--params=random_forest.max_depth={depth_of(number)}"]

    return Tool(
        steps=make("kedro run"),
        unchanged=make("kedro run --only-missing-outputs", "--only-missing-outputs"),
        depth=make("kedro run --from-nodes", f"--from-nodes={TRAIN}").also(change=change_depth),
    )
