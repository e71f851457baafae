"""Work that all trackers do in turn, round by round."""

import filecmp
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from benchmarks.place import BenchmarkError
from benchmarks.server.trackers import OFFLINE, Tracker

# Seconds by work and tracker, one a round: the n-th of each belong to the same round.
Seconds = dict[str, dict[str, list[float]]]
Race = Callable[[Tracker, int], Mapping[str, float]]

STEPS = 20_000
AT_ONCE = 16
FILES = 10_000
RUN, INSIDE = "a run of 10 steps, whole program", "- from init to finish"


def race(trackers: Sequence[Tracker], runner: Race, rounds: int) -> Seconds:
    """Let the trackers do a piece of work in turn.

    Args:
        trackers: Who takes part.
        runner: Does it once, given the round; returns seconds by work.
        rounds: Measured rounds.
    """
    seconds: Seconds = {}
    for number in range(rounds):
        for tracker in trackers:
            for work, taken in runner(tracker, number).items():
                seconds.setdefault(work, {}).setdefault(tracker.label, []).append(taken)
    return seconds


def race_runs(trackers: Sequence[Tracker], rounds: int) -> Seconds:
    """A run: init, ten steps, finish."""

    def once(tracker: Tracker, _round: int) -> dict[str, float]:
        parts = tracker.do("run", "10")
        return {RUN: parts["program"], INSIDE: parts["init"] + parts["log"] + parts["finish"]}

    for tracker in trackers:
        once(tracker, 0)  # compiles what is imported
    return race(trackers, once, rounds)


def race_history(trackers: Sequence[Tracker], rounds: int) -> Seconds:
    """A run of many steps."""

    def once(tracker: Tracker, _round: int) -> dict[str, float]:
        parts = tracker.do("run", str(STEPS))
        return {f"{STEPS:,} steps, log to finish": parts["log"] + parts["finish"]}

    return race(trackers, once, rounds)


def race_parallel(trackers: Sequence[Tracker], rounds: int) -> Seconds:
    """Many runs at once, each in a process of its own."""

    def once(tracker: Tracker, _round: int) -> dict[str, float]:
        started = perf_counter()
        do_at_once(tracker, AT_ONCE, "run", "10")
        return {f"{AT_ONCE} such programs at once": perf_counter() - started}

    return race(trackers, once, rounds)


def do_at_once(tracker: Tracker, count: int, work: str, *arguments: str) -> None:
    """Do the same work in so many processes at once, and wait for all of them."""
    folders = [tracker.folder / f"copy{number}" for number in range(count)]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    copies = [replace(tracker, folder=folder) for folder in folders]
    with ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(copy.do, work, *arguments) for copy in copies]:
            done.result()


def race_artifacts(trackers: Sequence[Tracker], rounds: int, folder: Path) -> Seconds:
    """Versions of an artifact, stored and downloaded: of 1 MB, and of many small files.

    Offline mode can't wait for a version nor use one.
    """
    able = [tracker for tracker in trackers if tracker.label != OFFLINE]
    one = race(able, _transfer("1 MB", folder, 1, 1_000_000), rounds)
    # Once: the many files are rounds enough.
    return one | race(able, _transfer(f"{FILES:,} files of 1 kB", folder, FILES, 1_000), 1)


def _transfer(what: str, folder: Path, count: int, size: int) -> Race:
    def once(tracker: Tracker, _round: int) -> dict[str, float]:
        # New content each time: else the version would be there already.
        source, target = folder / "source", folder / "target"
        fill_folder(source, count, size)
        stored = tracker.do("store", str(source))["store"]
        fetched = tracker.do("fetch", str(target))["fetch"]
        compare_folders(source, target)
        shutil.rmtree(source)
        shutil.rmtree(target)
        return {
            f"{what}: log_artifact, wait": stored,
            f"{what}: use_artifact, download": fetched,
        }

    return once


def fill_folder(folder: Path, count: int, size: int) -> None:
    """Make a folder with so many files of random bytes, of so many bytes each."""
    folder.mkdir()
    for number in range(count):
        (folder / f"file{number:05}").write_bytes(os.urandom(size))


def compare_folders(one: Path, other: Path) -> None:
    """Raise BenchmarkError unless both hold the same files: what got lost counts for nothing."""
    names = [path.name for path in one.iterdir()]
    same, _, _ = filecmp.cmpfiles(one, other, names, shallow=False)
    if len(same) != len(names):
        raise BenchmarkError(f"{len(names) - len(same)} of {len(names)} files came back otherwise.")
