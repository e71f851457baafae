"""What the server takes by itself: its start, its memory, its share of a step, many runs."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

from benchmarks.filling import PROJECT, Size, fill
from benchmarks.place import ROOT, BenchmarkError, free_port
from benchmarks.processes import peak_memory, processor_seconds, resident_memory
from benchmarks.server.races import do_at_once, fill_folder
from benchmarks.server.trackers import Tracker, online_tracker, serving
from wandb_server import Server, paths, service
from wandb_server.health import Health
from wandb_server.version import API_VERSION, VERSION

RUNS = 1_000
RUNS_FOUND = 5_000
_LOGGERS = 4  # processes that log the runs
STEPS_DONE = 10
_PATIENCE = 60.0  # seconds for a server to answer
_PAUSE = 0.002


@dataclass(frozen=True)
class Share:
    """What the server had to do with a step, in milliseconds.

    Attributes:
        step: What the step took after the import of the SDK.
        requests: The time in which at least one request was open.
        processor: What the server's process used of the processor.
        count: Requests.
    """

    step: float
    requests: float
    processor: float
    count: int


def measure_starts(folder: Path, rounds: int) -> list[float]:
    """Return the seconds from making the server's process to its first answer to a request."""
    return [_start_once(folder / f"start{number}") for number in range(rounds + 1)][1:]


def _start_once(folder: Path) -> float:
    port = free_port()
    command = [sys.executable, "-m", "wandb_server", "serve", "--port", str(port)]
    variables = os.environ | {paths.VARIABLE: str(folder)}
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.DEVNULL) as process:
        try:
            while not _answers(port):
                if process.poll() is not None or time.perf_counter() - started > _PATIENCE:
                    raise BenchmarkError(f"{' '.join(command)} doesn't answer.")
                time.sleep(_PAUSE)
            return time.perf_counter() - started
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with closing(HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)) as link:
        try:
            link.request("GET", "/healthz")
            return link.getresponse().status == 200
        except ConnectionRefusedError:
            return False


def measure_memory(folder: Path) -> tuple[float, float, float]:
    """Return the server's resident size in MB at its start, after many runs, and at its peak."""
    with serving(folder / "data") as server:
        pid = server.health.pid
        at_start = resident_memory(pid)
        do_at_once(
            online_tracker(folder / "online", server), _LOGGERS, "runs", str(RUNS // _LOGGERS)
        )
        return at_start, resident_memory(pid), peak_memory(pid)


def measure_search(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Return the seconds for `Api().runs` with filter and order, over many runs, by part."""
    data = folder / "data"
    with serving(data):  # makes the folder; the data come while the server doesn't run
        service.stop()
        fill(data, Size(runs=RUNS_FOUND, with_history=0, versions=151))
    seconds: dict[str, list[float]] = {}
    with serving(data) as server:
        tracker = online_tracker(folder / "online", server)
        for _ in range(rounds):
            for part, taken in tracker.do("find", f"{service.ENTITY}/{PROJECT}").items():
                if part not in ("import", "program"):
                    seconds.setdefault(part, []).append(taken)
    return seconds


def measure_step(folder: Path) -> Share:
    """Return the medians over some steps, after one to warm up."""
    source = folder / "source"
    folder.mkdir()
    fill_folder(source, 1, 1_000_000)
    with _timed_server(folder) as (server, journal):
        tracker, pid = online_tracker(folder / "online", server), server.health.pid
        tracker.do("store", str(source))
        shares = [_do_step(tracker, pid, journal, number) for number in range(STEPS_DONE + 1)][1:]
    return Share(
        median(share.step for share in shares),
        median(share.requests for share in shares),
        # Counted in hundredths of a second, so only the sum says something.
        sum(share.processor for share in shares) / len(shares),
        round(median(share.count for share in shares)),
    )


def _do_step(tracker: Tracker, pid: int, journal: Path, number: int) -> Share:
    seen, used = len(journal.read_text().splitlines()), processor_seconds(pid)
    seconds = tracker.do("step", str(number))["step"]
    spans = [
        (float(began), float(ended))
        for line in journal.read_text().splitlines()[seen:]
        for began, ended in [line.rsplit(" ", 2)[1:]]
    ]
    processor = processor_seconds(pid) - used
    return Share(1000 * seconds, 1000 * covered(spans), 1000 * processor, len(spans))


def covered(spans: Sequence[tuple[float, float]]) -> float:
    """Return how long at least one of the spans lasts; each has a begin and an end."""
    total, reached = 0.0, float("-inf")
    for began, ended in sorted(spans):
        total += max(0.0, ended - max(began, reached))
        reached = max(reached, ended)
    return total


@contextmanager
def _timed_server(folder: Path) -> Iterator[tuple[Server, Path]]:
    """Run a server that notes its requests; give it, and its notes."""
    key, journal = "local-" + secrets.token_hex(24), folder / "journal"
    data = folder / "data"
    command = [sys.executable, "-m", "benchmarks.server.timed_server", str(data), key, str(journal)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None or not (port := process.stdout.readline().strip()):
                raise BenchmarkError(f"{command} doesn't start.")
            health = Health(process.pid, VERSION, API_VERSION, time.time())
            yield Server(f"http://127.0.0.1:{port}", key, data, health), journal
        finally:
            process.terminate()
