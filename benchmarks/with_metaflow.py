"""The six steps as a Metaflow flow."""

import json

from benchmarks.contestants import Contestant
from benchmarks.place import HERE, Place
from benchmarks.recording import StepCall, write_calls
from benchmarks.tools import (
    TRAIN,
    WORKERS,
    Tool,
    adopt,
    depth_of,
    list_trials,
    make_folder,
    make_steps_python,
    variables_for,
    vary,
    write_trials,
)


def make_metaflow(place: Place, calls: list[StepCall]) -> Tool:
    """A Metaflow flow whose six steps run the steps' own programs in their processes.

    A step of Metaflow is a process already: a second one for the step's own environment would
    cost it more, so it gets one environment that holds what all steps need.
    """
    python = make_steps_python(place, calls, "metaflow", HERE / "metaflow.txt")
    folder = make_folder(place, "metaflow", calls)
    settings, trials = folder / "model_config.yaml", folder / "trials.json"
    written = write_calls(adopt(calls, settings), folder / "calls.json")
    variables = {
        **variables_for("metaflow"),
        "METAFLOW_HOME": str(folder / "settings"),
        "METAFLOW_USER": "benchmark",
        "BENCHMARK_CALLS": str(written),
        "BENCHMARK_TRIALS": str(trials),
    }
    quick = ["--quiet", "--no-pylint", "--event-logger=nullSidecarLogger"]
    quick += ["--monitor=nullSidecarMonitor", "--metadata=local", "--datastore=local"]

    def make(label: str, flow: str, *words: str) -> Contestant:
        command = [str(python), str(HERE / flow), *quick, *words]
        return Contestant(label, command, folder, variables)

    def change_depth(number: int) -> list[str]:
        settings.write_text(vary(settings.read_text(), max_depth=depth_of(number)))
        return []

    def change_trials(number: int) -> list[str]:
        files = write_trials(folder / "trials", calls, number)
        trials.write_text(json.dumps(list_trials(calls, files)))
        return []

    foreach = make("Metaflow foreach", "flow_trials.py", "run", "--max-workers", str(WORKERS))
    return Tool(
        steps=make("Metaflow", "flow.py", "run"),
        unchanged=make("Metaflow resume", "flow.py", "resume"),
        depth=make("Metaflow resume", "flow.py", "resume", TRAIN).also(change=change_depth),
        trials=foreach.also(change=change_trials),
    )
