"""Measures the contestants in turn, and the steps one by one."""

import json
import logging
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.contestants import Contestant, make_empty, make_floor, make_main, make_mlflow
from benchmarks.place import HERE, Place
from benchmarks.recording import StepCall, read_calls, start_recording
from benchmarks.report import TracedStep
from benchmarks.timing import Measured, measure
from benchmarks.tools import Tool
from benchmarks.with_dvc import make_dvc
from benchmarks.with_kedro import make_kedro
from benchmarks.with_metaflow import make_metaflow

TOOLS = {"dvc": make_dvc, "metaflow": make_metaflow, "kedro": make_kedro}

logger = logging.getLogger(__name__)


def record_calls(place: Place, overrides: list[str]) -> list[StepCall]:
    """Run the pipeline twice and return how it called its steps the second time.

    The first run makes environments, compiled files, artifacts and a model in production; the
    second one finds all that, as every later one does.
    """
    contestant = make_main(place, overrides)
    run(place, contestant, {})
    folder, variables = start_recording(place)
    run(place, contestant, variables)
    return read_calls(folder, place)


def open_tools(place: Place, names: list[str], calls: list[StepCall]) -> dict[str, Tool]:
    """Make the pipeline a project of each tool, and run it once, so that all is there and warm."""
    tools = {name: TOOLS[name](place, calls) for name in names}
    for tool in tools.values():
        warm_up(place, tool.steps, calls)
    return tools


def make_contestants(
    place: Place,
    parts: list[str],
    overrides: list[str],
    calls: list[StepCall],
    tools: Mapping[str, Tool],
) -> dict[str, Contestant]:
    """Make those of the parts that run all the steps, or none, warm; main.py has run before."""
    contestants = {
        "floor": make_floor(place, calls),
        "main": make_main(place, overrides),
        "mlflow": make_mlflow(place, overrides),
        "empty": make_empty(place),
        **{name: tool.steps for name, tool in tools.items()},
    }
    contestants = {part: contestants[part] for part in parts if part in contestants}
    for part in ("floor", "mlflow", "empty"):
        if part in contestants:
            warm_up(place, contestants[part], calls)
    return contestants


def warm_up(place: Place, contestant: Contestant, calls: list[StepCall]) -> None:
    """Run a contestant once, before the first round, and forget what it took."""
    logger.info("warming up: %s", contestant.label)
    run_round(place, contestant, calls, 0)


def race(
    place: Place, contestants: Mapping[str, Contestant], calls: list[StepCall], numbers: range
) -> dict[str, list[float]]:
    """Run the contestants in turn, in the rounds of these numbers; return seconds by part."""
    seconds: dict[str, list[float]] = {part: [] for part in contestants}
    for turn, number in enumerate(numbers, start=1):
        for part, contestant in contestants.items():
            measured = run_round(place, contestant, calls, number)
            seconds[part].append(measured.seconds)
            logger.info("round %d: %6.2f s  %s", turn, measured.seconds, contestant.label)
    return seconds


def run_round(place: Place, contestant: Contestant, calls: list[StepCall], number: int) -> Measured:
    """Make the change of a round, which isn't timed, and run a contestant."""
    command = [*contestant.command, *contestant.change(number)]
    return run(place, contestant.also(command=command), variables_of(contestant, calls))


def variables_of(contestant: Contestant, calls: list[StepCall]) -> dict[str, str]:
    """Return what main.py would add to the environment of its steps, if that is to be given.

    Args:
        contestant: Who gets it.
        calls: The steps; none are given W&B variables if none use W&B.
    """
    return calls[0].variables if calls and contestant.gets_variables else {}


def run(place: Place, contestant: Contestant, variables: Mapping[str, str]) -> Measured:
    """Run a contestant once."""
    return measure_in(
        place,
        contestant.command,
        contestant.folder,
        {**place.variables, **variables, **contestant.variables},
    )


def measure_in(
    place: Place, command: list[str], folder: Path, variables: Mapping[str, str]
) -> Measured:
    """Run a command once, with an empty folder for W&B's files in passing."""
    place.scratch.mkdir()
    try:
        return measure(command, folder, variables, place.folder / "output.log")
    finally:
        shutil.rmtree(place.scratch)


def trace_steps(place: Place, calls: list[StepCall], rounds: int) -> dict[str, list[TracedStep]]:
    """Run each step by itself, in turn, round by round, and see where its time goes."""
    traced: dict[str, list[TracedStep]] = {step.step: [] for step in calls}
    for number in range(1, rounds + 1):
        for step in calls:
            traced[step.step].append(trace_step(place, step))
        logger.info("round %d: steps one by one", number)
    return traced


def trace_step(place: Place, step: StepCall) -> TracedStep:
    """Run one step under trace_step.py."""
    result = place.folder / "trace.json"
    command = [step.python, str(HERE / "trace_step.py"), str(result), *step.arguments]
    variables = {
        **place.variables,
        **step.variables,
        "WANDB_JOB_TYPE": step.step,
        "BENCHMARK_LAUNCHED": str(time.time()),
    }
    measured = measure_in(place, command, step.folder or place.folder, variables)
    return TracedStep(measured, json.loads(result.read_text()))
