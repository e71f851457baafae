"""Times the pipeline, and the same six steps run by others, on this machine."""

import argparse
import logging
import os
import platform
import shlex
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks import contest
from benchmarks.changes import CHANGES
from benchmarks.contest import TOOLS
from benchmarks.first import LABELS as FIRST_LABELS
from benchmarks.first import race_first
from benchmarks.growth import measure_growth
from benchmarks.place import ROOT, BenchmarkError, Place, open_place
from benchmarks.recording import StepCall
from benchmarks.report import (
    check_aims,
    compare,
    compare_situations,
    flatten_growth,
    tabulate_growth,
    tabulate_steps,
)
from benchmarks.tools import pick
from benchmarks.untracked import LABELS, UNTRACKED, open_untracked

PARTS = (
    *("floor", "main", "mlflow", "empty", *TOOLS, "steps"),
    *(*CHANGES, *UNTRACKED, "big", "first"),
)
BESIDE_MAIN = ("mlflow", *TOOLS)
# Minutes long: one round of them for each three of the others.
LONG = ("trials", "untracked_trials", "big", "first")


def main(arguments: list[str]) -> None:
    """Measure what was asked for and print the tables.

    Raises:
        BenchmarkError: A parameter can't be used, or something that is measured fails.
    """
    options = parse(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-") as name,
        open_place(Path(name), options.data, options.env_manager) as place,
    ):
        print(describe_machine())
        figures = run_parts(place, options)
        if aims := check_aims(figures):
            print(f"\n{aims}")


def run_parts(place: Place, options: argparse.Namespace) -> dict[str, Sequence[float]]:
    """Measure the parts, print each table when it is known, and return the figures by name."""
    overrides = make_overrides(place, options.hydra_options, place.table)
    # Nothing is reused: what the others do each time is compared.
    anew = [*overrides, "main.cache=false"]
    # What waits for its turn is called otherwise.
    calls = contest.record_calls(place, [*anew, "main.preload=false"])
    in_changes = options.tools if set(options.parts) & set(CHANGES) else []
    wanted = [name for name in TOOLS if name in (*options.parts, *in_changes)]
    tools = contest.open_tools(place, wanted, calls)
    contestants = contest.make_contestants(place, options.parts, anew, calls, tools)
    figures: dict[str, Sequence[float]] = {}
    if contestants:
        figures |= contest.race(place, contestants, calls, range(1, options.rounds + 1))
        labels = {part: contestant.label for part, contestant in contestants.items()}
        print(f"\n{compare(figures, labels, 'six steps by')}", flush=True)
    if "steps" in options.parts:
        steps = contest.trace_steps(place, calls, options.rounds)
        print(f"\n{tabulate_steps(steps)}", flush=True)
    for part in CHANGES:
        if part in options.parts:
            figures |= run_change(place, part, overrides, calls, tools, options)
    if set(options.parts) & set(UNTRACKED):
        run_untracked(place, overrides, calls, options)
    if "big" in options.parts:
        figures |= run_big(place, calls, options)
    if "first" in options.parts:
        rounds = len(numbers_of("first", options.rounds))
        found = race_first(place, calls, options.tools, rounds)
        print(f"\n{compare(found, FIRST_LABELS, 'first run from nothing')}", flush=True)
        figures |= {f"first {name}": seconds for name, seconds in found.items()}
    return figures


def run_change(
    place: Place,
    part: str,
    overrides: list[str],
    calls: list[StepCall],
    tools: dict[str, contest.Tool],
    options: argparse.Namespace,
) -> dict[str, Sequence[float]]:
    """Measure one of CHANGES, print its table, and return its figures by name."""
    title, make = CHANGES[part]
    contestants = {
        name: contestant
        for name, contestant in make(place, overrides, calls, tools).items()
        if name in options.tools or name not in BESIDE_MAIN
    }
    if part in ("unchanged", "trials"):  # what no part before them did, such as a sweep's plots
        for name, contestant in contestants.items():
            if name != "first":  # which is main.py, too
                contest.warm_up(place, contestant, calls)
    seconds = contest.race(place, contestants, calls, numbers_of(part, options.rounds))
    labels = {name: contestant.label for name, contestant in contestants.items()}
    print(f"\n{compare(seconds, labels, title)}", flush=True)
    return {f"{part} {name}": values for name, values in seconds.items()}


def run_untracked(
    place: Place, overrides: list[str], calls: list[StepCall], options: argparse.Namespace
) -> None:
    """Measure those that run the plain scripts beside main.py, and print a table for each part."""
    makers = {name: make for name, make in TOOLS.items() if name in options.tools}
    tools = open_untracked(place, overrides, calls, makers)
    for name, tool in tools.items():
        if name != "main":  # which record_calls has run
            contest.warm_up(place, tool.steps, [])
    for part in [part for part in UNTRACKED if part in options.parts]:
        seconds = {}
        for situation in UNTRACKED[part]:
            contestants = pick(tools, situation)
            if situation == "unchanged":
                for contestant in contestants.values():
                    contest.warm_up(place, contestant, [])
            seconds[situation] = contest.race(
                place, contestants, [], numbers_of(part, options.rounds)
            )
        measured = set().union(*seconds.values())
        labels = {name: LABELS[name] for name in tools if name in measured}
        print(f"\n{compare_situations(seconds, labels, UNTRACKED[part])}", flush=True)


def run_big(
    place: Place, calls: list[StepCall], options: argparse.Namespace
) -> dict[str, Sequence[float]]:
    """Measure how time and memory grow with the rows, print the table, and return the figures."""
    make = partial(make_overrides, place, options.hydra_options)
    growth = measure_growth(place, make, calls, len(numbers_of("big", options.rounds)))
    print(f"\n{tabulate_growth(growth)}", flush=True)
    return flatten_growth(growth)


def make_overrides(place: Place, options: str, table: Path) -> list[str]:
    """Return main.py's overrides for a table."""
    overrides = [f"dataset.url={table}", f"main.env_manager={place.manager}"]
    return [*overrides, *shlex.split(options)]


def numbers_of(part: str, rounds: int) -> range:
    """Return the numbers of a part's rounds; main.py must not know those of another part."""
    count = max(1, rounds // 3) if part in LONG else rounds
    first = count + 1 if part in UNTRACKED else 1
    return range(first, first + count)


def describe_machine() -> str:
    """Return what the figures belong to."""
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}"
    )


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the parameters, each one valid.

    Raises:
        BenchmarkError: One has a value that it can't have.
    """
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--data", type=Path, default="sample_data/songs.parquet", help="table")
    parser.add_argument("--rounds", type=int, default=5, help="measured runs of each contestant")
    parser.add_argument("--parts", default="all", help=f"all, or some of {','.join(PARTS)}")
    parser.add_argument(
        "--tools", default="all", help=f"all, none, or some of {','.join(BESIDE_MAIN)}"
    )
    parser.add_argument("--hydra_options", default="", help="overrides for all that run")
    parser.add_argument("--env_manager", choices=("uv", "local"), default="uv")
    options = parser.parse_args(arguments)
    options.data = ROOT / options.data
    if not options.data.is_file():
        raise BenchmarkError(f"data={options.data} is no file.")
    if options.rounds < 1:
        raise BenchmarkError(f"rounds={options.rounds}: measure at least once.")
    options.parts = choose("parts", options.parts, PARTS)
    options.tools = [] if options.tools == "none" else choose("tools", options.tools, BESIDE_MAIN)
    if "big" in options.parts and options.data.suffix != ".parquet":
        raise BenchmarkError(f"data={options.data}: the part big needs a Parquet file.")
    return options


def choose(parameter: str, value: str, known: tuple[str, ...]) -> list[str]:
    """Return the names that a parameter lists, in the order in which they are known.

    Raises:
        BenchmarkError: One is unknown.
    """
    wanted = known if value == "all" else value.split(",")
    if unknown := sorted(set(wanted) - set(known)):
        names = ",".join(unknown)
        raise BenchmarkError(f"{parameter}={names}: use all, or some of {','.join(known)}.")
    return [name for name in known if name in wanted]


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        main(sys.argv[1:])
    except BenchmarkError as error:
        sys.exit(f"benchmarks: {error}")
