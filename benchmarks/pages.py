"""Times the local server's pages on a project of 5,000 runs: `python -m benchmarks.pages`."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import quote, urlencode

import requests

from benchmarks.filling import PROJECT, Size, fill
from benchmarks.processes import peak_memory, processor_seconds
from benchmarks.report import format_table
from wandb_server import Server, ensure_running, paths, service

_MEMORY = 300  # MB
_HTML = {"Accept": "text/html"}
_HOME = f"/local/{PROJECT}"


@dataclass(frozen=True)
class Aim:
    """A page and what its answer should not exceed; `kilobytes` None sets no limit."""

    text: str
    path: str
    milliseconds: float
    kilobytes: float | None = None


@dataclass(frozen=True)
class Answer:
    """What a page took: median milliseconds, mean processor milliseconds, kilobytes."""

    milliseconds: float
    processor: float
    kilobytes: float


def aims(size: Size) -> list[Aim]:
    """List what is asked for, of a project that `fill` made."""
    newest = f"{_HOME}/runs/run{size.runs - 1:05}"
    compared = urlencode([("run", f"run{size.runs - 1 - back:05}") for back in range(10)])
    return [
        Aim("project page", _HOME, 300, 300),
        Aim("sorted by a metric", f"{_HOME}?sort=-summary.test/roc_auc_ovo", 200),
        Aim("filtered by a setting", _filtered("config.max_depth = 13"), 200),
        Aim("filtered by a metric", _filtered("test/roc_auc_ovo > 0.95"), 200),
        Aim("found by a word", _filtered("run-1234"), 200),
        Aim("grouped by a setting", f"{_HOME}?group=config.max_depth", 300),
        Aim("last page of the table", f"{_HOME}?page=100", 300, 300),
        Aim("run with five charts", newest, 400),
        Aim("ten runs compared", f"{_HOME}/compare?{compared}", 1000),
        Aim("artifacts", f"{_HOME}/artifacts", 300),
        Aim("versions of one artifact", f"{_HOME}/artifacts/model/other1", 300),
        Aim("lineage of 301 nodes", f"{_HOME}/artifacts/data/data/v0/lineage", 500),
        Aim("search", "/search?q=run-12", 200),
    ]


def _filtered(text: str) -> str:
    return f"{_HOME}?filter={quote(text)}"


def main(arguments: Sequence[str]) -> None:
    """Fill a folder, start a server on it, ask for each page, print a table."""
    options = parse(arguments)
    with tempfile.TemporaryDirectory(prefix="pages-") as name:
        folder = Path(name) / "server"
        os.environ[paths.VARIABLE] = str(folder)
        size = Size(with_history=round(1_000 * options.scale), steps=options.steps)
        server = ensure_running()  # makes the folder; the data come while it doesn't run
        service.stop()
        started = time.perf_counter()
        fill(folder, size)
        taken = time.perf_counter() - started
        disk = sum(paths.sizes(folder).values()) / 1e9
        print(f"{size}, {disk:.2f} GB, made in {taken:.0f} s")
        server = ensure_running()
        try:
            print(measure(server, aims(size), options.rounds))
        finally:
            service.stop()


def measure(server: Server, wanted: Sequence[Aim], rounds: int) -> str:
    """Ask for the pages and tabulate times, sizes and the server's memory.

    Args:
        server: Holds the data.
        wanted: The pages.
        rounds: Times that each is asked for, after once to warm up.
    """
    rows = []
    with requests.Session() as browser:
        browser.get(server.sign_in_url(), timeout=60)
        for aim in wanted:
            asked = ask(browser, server, aim.path, rounds)
            passes = asked.milliseconds <= aim.milliseconds
            passes = passes and asked.kilobytes <= (aim.kilobytes or asked.kilobytes)
            limit = f"{aim.milliseconds:.0f} ms"
            limit += f", {aim.kilobytes:.0f} kB" if aim.kilobytes else ""
            figures = (asked.milliseconds, asked.processor, asked.kilobytes)
            verdict = "holds" if passes else "missed"
            rows.append((aim.text, *(f"{figure:.0f}" for figure in figures), limit, verdict))
    memory = peak_memory(server.health.pid)
    verdict = "holds" if memory < _MEMORY else "missed"
    rows.append(("peak memory of the server", "", "", "", f"{_MEMORY} MB", verdict))
    heading = ("page", "median ms", "processor ms", "kB", "at most", "")
    return f"{format_table(heading, rows)}\n\nThe server's memory peaked at {memory:.0f} MB."


def ask(browser: requests.Session, server: Server, path: str, rounds: int) -> Answer:
    """Ask for a page: once to warm up, then so many times.

    Raises:
        SystemExit: It isn't answered by 200.
    """
    times = []
    for number in range(rounds + 1):
        if number == 1:
            before = processor_seconds(server.health.pid)
        started = time.perf_counter()
        reply = browser.get(server.base_url + path, headers=_HTML, timeout=60)
        times.append((time.perf_counter() - started) * 1000)
        if reply.status_code != 200:
            sys.exit(f"{path}: {reply.status_code} {reply.text[:300]}")
    used = (processor_seconds(server.health.pid) - before) * 1000 / rounds
    return Answer(median(times[1:]), used, len(reply.content) / 1000)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the parameters."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("--scale", type=float, default=0.05, help="share of the 1,000 histories")
    parser.add_argument("--steps", type=int, default=10_000, help="steps of each history")
    parser.add_argument("--rounds", type=int, default=5, help="times that a page is asked for")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
