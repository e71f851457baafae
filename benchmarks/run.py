"""Times the pipeline, and the same six steps run by others, on this machine."""

import argparse
import logging
import os
import platform
import shlex
import sys
import tempfile
from pathlib import Path

from benchmarks import contest
from benchmarks.place import ROOT, BenchmarkError, Place, open_place
from benchmarks.report import check_aims, compare, tabulate_steps

PARTS = ("floor", "main", "mlflow", "dvc", "metaflow", "steps", "first")


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
        run_parts(place, options)


def run_parts(place: Place, options: argparse.Namespace) -> None:
    """Measure the parts and print each table when it is known."""
    # Nothing is reused: what the others do each time is compared.
    overrides = [f"dataset.url={place.table}", "main.cache=false"]
    overrides += [f"main.env_manager={place.manager}"]
    overrides += shlex.split(options.hydra_options)
    seconds: dict[str, list[float]] = {}
    if options.parts != ["first"]:
        calls = contest.record_calls(place, overrides)
        contestants = contest.make_contestants(place, options.parts, overrides, calls)
        if contestants:
            seconds = contest.race(place, contestants, calls, options.rounds)
            labels = {part: contestant.label for part, contestant in contestants.items()}
            print(f"\n{compare(seconds, labels)}")
        if "steps" in options.parts:
            print(f"\n{tabulate_steps(contest.trace_steps(place, calls, options.rounds))}")
    if "first" in options.parts:
        seconds["first"] = [contest.first_run(place).seconds]
    if aims := check_aims(seconds):
        print(f"\n{aims}")


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
    parser.add_argument("--hydra_options", default="", help="overrides for all that run")
    parser.add_argument("--env_manager", choices=("uv", "local"), default="uv")
    options = parser.parse_args(arguments)
    options.data = ROOT / options.data
    if not options.data.is_file():
        raise BenchmarkError(f"data={options.data} is no file.")
    if options.rounds < 1:
        raise BenchmarkError(f"rounds={options.rounds}: measure at least once.")
    wanted = PARTS if options.parts == "all" else options.parts.split(",")
    if unknown := sorted(set(wanted) - set(PARTS)):
        raise BenchmarkError(f"parts={','.join(unknown)}: use all, or some of {','.join(PARTS)}.")
    options.parts = [part for part in PARTS if part in wanted]
    return options


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        main(sys.argv[1:])
    except BenchmarkError as error:
        sys.exit(f"benchmarks: {error}")
