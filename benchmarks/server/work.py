"""One piece of work, done with wandb or with trackio, and how long each part of it took.

`python work.py <result.json> <wandb or trackio> <work> <arguments>`, by the Python of an
environment that has that library. Both offer the same functions, so both run the same lines.
"""

import argparse
import importlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

PROJECT = "benchmark"
CONFIG = {"depth": 7, "learning_rate": 0.01, "kind": "forest", "seed": 0}
FILTERS = {"config.max_depth": {"$gt": 15}, "summary_metrics.val/loss": {"$lt": 0.5}}
ORDER = "-summary_metrics.test/roc_auc_ovo"

Finish = Callable[[str], None]  # notes that a part of the work, which it names, has ended


def log_run(tracker: Any, ended: Finish, arguments: Sequence[str]) -> None:
    """Log a run of so many steps."""
    (steps,) = map(int, arguments)
    run = tracker.init(project=PROJECT, config=CONFIG)
    ended("init")
    for step in range(steps):
        run.log({name: step / (index + 1) for index, name in enumerate(("a", "b", "c", "d", "e"))})
    ended("log")
    run.finish()
    ended("finish")


def log_runs(tracker: Any, ended: Finish, arguments: Sequence[str]) -> None:
    """Log so many runs of ten steps, one after the other."""
    (count,) = map(int, arguments)
    for _ in range(count):
        run = tracker.init(project=PROJECT, config=CONFIG)
        for step in range(10):
            run.log({"loss": 1 / (step + 1)})
        run.finish()
    ended("runs")


def store(tracker: Any, ended: Finish, arguments: Sequence[str]) -> None:
    """Log a folder as a version of an artifact, and wait until it is stored."""
    (folder,) = arguments
    run = tracker.init(project=PROJECT)
    ended("init")
    artifact = tracker.Artifact("data", type="dataset")
    artifact.add_dir(folder)
    run.log_artifact(artifact).wait()
    ended("store")
    run.finish()


def fetch(tracker: Any, ended: Finish, arguments: Sequence[str]) -> None:
    """Download the newest version of the artifact into a folder."""
    (target,) = arguments
    run = tracker.init(project=PROJECT)
    ended("init")
    run.use_artifact("data:latest").download(target)
    ended("fetch")
    run.finish()


def find_runs(tracker: Any, ended: Finish, arguments: Sequence[str]) -> None:
    """List the runs of a project by filter and order: the first page, then all."""
    (path,) = arguments
    found = iter(tracker.Api().runs(path, filters=FILTERS, order=ORDER))
    next(found)
    ended("first page")
    count = 1 + sum(1 for _ in found)
    ended(f"all {count}")


def do_step(tracker: Any, ended: Finish, arguments: Sequence[str]) -> None:
    """Do what a step of a pipeline does with W&B: a table in, a table out, results."""
    (mark,) = arguments
    run = tracker.init(project=PROJECT, job_type="step", config=CONFIG)
    source = run.use_artifact("data:latest").file()
    artifact = tracker.Artifact("clean", type="dataset", metadata={"rows": 1000})
    with artifact.new_file("clean", mode="wb") as file:
        file.write(Path(source).read_bytes() + mark.encode())
    version = run.log_artifact(artifact).wait().version
    run.log({"rows": 1000, "dropped": 7})
    run.summary.update({"rows": 1000, "output/clean": version})
    run.finish()
    ended("step")


WORK: dict[str, Callable[[Any, Finish, Sequence[str]], None]] = {
    "run": log_run,
    "runs": log_runs,
    "store": store,
    "fetch": fetch,
    "find": find_runs,
    "step": do_step,
}


def main(arguments: Sequence[str]) -> None:
    """Do the work and write the seconds by part as JSON; `import` is that of the library."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("tracker", choices=("wandb", "trackio"))
    parser.add_argument("work", choices=WORK)
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args(arguments)
    seconds: dict[str, float] = {}
    since = time.perf_counter()

    def ended(part: str) -> None:
        nonlocal since
        now = time.perf_counter()
        seconds[part] = now - since
        since = now

    tracker = importlib.import_module(options.tracker)
    ended("import")
    WORK[options.work](tracker, ended, options.arguments)
    options.result.write_text(json.dumps(seconds))


if __name__ == "__main__":
    main(sys.argv[1:])
