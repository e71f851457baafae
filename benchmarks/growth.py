"""Measures what ten times the rows cost, in time and memory, step by step and as a whole."""

import json
import logging
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import contest
from benchmarks.alone import make_single
from benchmarks.contestants import Contestant, make_main
from benchmarks.place import HERE, BenchmarkError, Place, call
from benchmarks.recording import STEPS, StepCall
from benchmarks.timing import MAXRSS_BYTES, Measured

logger = logging.getLogger(__name__)

TIMES = 10
WHOLE, SINGLE = "main", "single"
# Runs, one a round, by size (1 or TIMES) and by what ran.
Growth = dict[int, dict[str, list[Measured]]]

# main.py starts each step by the bash that it finds on the path.
_BASH = """#!/bin/sh
case "$2" in *"python run.py"*) exec {python} -S -E {timer} {result} {bash} "$@"; esac
exec {bash} "$@"
"""


def measure_growth(
    place: Place,
    make_overrides: Callable[[Path], list[str]],
    calls: list[StepCall],
    rounds: int,
) -> Growth:
    """Run the pipeline and the single script on the table and on TIMES as many rows, in turn.

    Each run of the pipeline is the first one of its W&B project, so that runs of either size hash,
    upload and promote alike.

    Args:
        place: Where to run.
        make_overrides: Returns main.py's overrides for a table.
        calls: How main.py calls the steps.
        rounds: Runs of each.

    Raises:
        BenchmarkError: The table can't be enlarged, or something that is measured fails.
    """
    tables = {1: place.table, TIMES: place.folder / f"{TIMES} times.parquet"}
    words = [str(HERE / "enlarge.py"), str(place.table), str(tables[TIMES]), str(TIMES)]
    call([str(place.python), *words], place.folder, place.variables)
    growth: Growth = {size: {} for size in tables}
    contest.warm_up(place, make_single(place, calls, place.table), calls)
    for number in range(1, rounds + 1):
        for size, table in tables.items():
            project = f"main.project_name=times_{size}_round_{number}"
            # Each step is timed from its own start.
            anew = ["main.cache=false", "main.preload=false", project]
            pipeline = make_main(place, [*make_overrides(table), *anew])
            found = measure_steps(place, pipeline)
            found[SINGLE] = contest.run(place, make_single(place, calls, table), {})
            for name, measured in found.items():
                growth[size].setdefault(name, []).append(measured)
                logger.info("round %d: %6.2f s  %s, x%d", number, measured.seconds, name, size)
    return growth


def measure_steps(place: Place, pipeline: Contestant) -> dict[str, Measured]:
    """Run the pipeline; return what each step took, and the whole of it."""
    result, folder = place.folder / "steps.jsonl", place.folder / "timer"
    bash = shutil.which("bash", path=place.variables["PATH"])
    if bash is None:
        raise BenchmarkError("bash, which starts the steps, is not on the PATH.")
    folder.mkdir(exist_ok=True)
    result.write_text("")
    words = {"python": sys.executable, "timer": HERE / "time_step.py", "result": result}
    quoted = {name: shlex.quote(str(word)) for name, word in words.items()}
    (folder / "bash").write_text(_BASH.format(bash=shlex.quote(bash), **quoted))
    (folder / "bash").chmod(0o755)
    path = f"{folder}{os.pathsep}{place.variables['PATH']}"
    whole = contest.run(place, pipeline, {"PATH": path})
    steps = {
        name: Measured(seconds, peak * MAXRSS_BYTES)
        for name, seconds, peak in map(json.loads, result.read_text().splitlines())
    }
    return {**{name: steps[name] for name in STEPS if name in steps}, WHOLE: whole}
