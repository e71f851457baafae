"""Times the local server beside the SDK's offline mode, trackio and cp."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.place import BenchmarkError
from benchmarks.run import describe_machine
from benchmarks.server import loads, races, tables
from benchmarks.server.checks import check_runs
from benchmarks.server.tables import Aim
from benchmarks.server.trackers import make_trackers, online_tracker, serving
from benchmarks.server.transfers import measure_transfers

RACES = ("run", "history", "parallel", "artifact")
PARTS = (*RACES, "transfer", "step", "search", "start", "memory")


def main(arguments: Sequence[str]) -> None:
    """Measure what was asked for and print each table when it is known.

    Raises:
        BenchmarkError: A parameter can't be used, or something that is measured fails.
    """
    options = parse(arguments)
    print(describe_machine(), flush=True)
    aims: list[Aim] = []
    with tempfile.TemporaryDirectory(prefix="server-benchmark-", dir=options.folder) as name:
        folder = Path(name)
        if set(options.parts) & set(RACES):
            aims += race(folder / "races", options)
        if "transfer" in options.parts:
            aims += transfer(folder / "transfers", options)
        if "step" in options.parts:
            share = loads.measure_step(folder / "step")
            show(tables.tabulate_step(share))
            aims.append(Aim("server's share of a step", share.requests, 50, "ms"))
        aims += load(folder, options)
    if aims:
        show(tables.tabulate_aims(aims))


def race(folder: Path, options: argparse.Namespace) -> list[Aim]:
    """Let the server, offline mode and trackio do the same work."""
    seconds: races.Seconds = {}
    with serving(folder / "data") as server:
        trackers = make_trackers(folder, server, with_trackio=options.trackio)
        if "run" in options.parts:
            seconds |= races.race_runs(trackers, options.rounds)
        if "history" in options.parts:
            seconds |= races.race_history(trackers, options.rounds)
        if "parallel" in options.parts:
            seconds |= races.race_parallel(trackers, 1)
        if "artifact" in options.parts:
            seconds |= races.race_artifacts(trackers, options.rounds, folder)
        check_runs(server.data_dir)
    show(tables.tabulate_races(seconds))
    return tables.run_aims(seconds) if "run" in options.parts else []


def transfer(folder: Path, options: argparse.Namespace) -> list[Aim]:
    """Send a large file to the server and back."""
    with serving(folder / "data") as server:
        tracker = online_tracker(folder / "online", server)
        seconds = measure_transfers(folder, server, tracker, options.megabytes, options.rounds)
    show(tables.tabulate_transfers(seconds, options.megabytes))
    return tables.transfer_aims(seconds)


def load(folder: Path, options: argparse.Namespace) -> list[Aim]:
    """Measure the server by itself."""
    rows: list[tuple[str, str]] = []
    aims: list[Aim] = []
    if "search" in options.parts:
        for part, taken in loads.measure_search(folder / "search", options.rounds).items():
            rows.append(
                (f"Api().runs over {loads.RUNS_FOUND:,} runs: {part}", f"{median(taken):.2f} s")
            )
    if "start" in options.parts:
        start = median(loads.measure_starts(folder / "starts", 2 * options.rounds))
        rows.append(("start to first answer", f"{start:.2f} s"))
        aims.append(Aim("start to first answer", start, 0.7, "s"))
    if "memory" in options.parts:
        memory = loads.measure_memory(folder / "memory")
        after = f"resident after {loads.RUNS:,} runs"
        for text, figure in zip(("resident at start", after, "at its peak"), memory, strict=True):
            rows.append((text, f"{figure:.0f} MB"))
        aims.append(Aim(after, memory[1], 120, "MB"))
    if rows:
        show(tables.tabulate_others(rows))
    return aims


def show(table: str) -> None:
    """Print a table now: the next one may take a minute."""
    print(f"\n{table}", flush=True)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the parameters, each one valid.

    Raises:
        BenchmarkError: One has a value that it can't have.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds")
    parser.add_argument("--parts", default="all", help=f"all, or some of {','.join(PARTS)}")
    parser.add_argument("--megabytes", type=int, default=500, help="size of the large file")
    parser.add_argument("--folder", type=Path, help="disk to measure on; default: temporary files'")
    parser.add_argument(
        "--no-trackio", dest="trackio", action="store_false", help="leave trackio out: no network"
    )
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.megabytes < 1:
        raise BenchmarkError("--rounds and --megabytes: use a number from 1 up.")
    wanted = PARTS if options.parts == "all" else options.parts.split(",")
    if unknown := sorted(set(wanted) - set(PARTS)):
        raise BenchmarkError(f"--parts {','.join(unknown)}: use all, or some of {','.join(PARTS)}.")
    options.parts = list(wanted)
    return options


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except BenchmarkError as error:
        sys.exit(f"benchmarks: {error}")
