"""One large file, to the server and back, next to `cp` of the same file."""

import hashlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

from benchmarks.place import ROOT, BenchmarkError
from benchmarks.processes import processor_seconds
from benchmarks.server.trackers import Tracker
from wandb_server import Server, paths
from wandb_server.auth import Signer
from wandb_server.urls import Urls

_CHUNK = 1 << 20
COPY, COPY_SYNC, MD5 = "cp", "cp, then sync", "MD5 of it"
BARE = "bare socket: receive, MD5, sync"
UPLOAD_PROCESSOR = "- by the server's processor time"
UPLOAD, DOWNLOAD = "upload: one PUT", "download: one GET"
SDK_UPLOAD, SDK_DOWNLOAD = "SDK: log_artifact, wait", "SDK: use_artifact, download"


def measure_transfers(
    folder: Path, server: Server, tracker: Tracker, megabytes: int, rounds: int
) -> dict[str, list[float]]:
    """Return seconds by kind of transfer, one a round.

    Args:
        folder: Empty folder, on the disk that the server's data lie on.
        server: A running server.
        tracker: Who uses it.
        megabytes: Size of the file.
        rounds: Times that each transfer is done, in turn, with new content.
    """
    source = folder / "source" / "file"
    source.parent.mkdir(parents=True)
    source.write_bytes(os.urandom(megabytes * 1_000_000))
    seconds: dict[str, list[float]] = {}
    for number in range(rounds):
        with source.open("r+b") as file:
            file.write(f"round {number}".encode())
        for kind, taken in _transfer_once(folder, source, server, tracker).items():
            seconds.setdefault(kind, []).append(taken)
    return seconds


def _transfer_once(
    folder: Path, source: Path, server: Server, tracker: Tracker
) -> dict[str, float]:
    digest = _digest(source)
    urls, target = Urls(server.base_url, Signer(server.api_key)), folder / "target"
    os.sync()  # what was written before is no part of this
    seconds = {
        COPY: _timed(lambda: _copy(source, target)),
        COPY_SYNC: _timed(lambda: _copy(source, target, sync=True)),
        MD5: _timed(lambda: _digest(source)),
        BARE: _send_bare(source, target, digest),
    }
    used = processor_seconds(server.health.pid)
    seconds[UPLOAD] = _timed(lambda: _put(source, urls.upload_blob(digest)))
    # Counted in hundredths of a second: for a small file it may be none.
    seconds[UPLOAD_PROCESSOR] = max(0.01, processor_seconds(server.health.pid) - used)
    seconds[DOWNLOAD] = _timed(lambda: _get(urls.download(digest, "file"), target))
    if _digest(target) != digest:
        raise BenchmarkError("the file came back otherwise.")
    target.unlink()
    (server.data_dir / paths.BLOBS / digest[:2] / digest).unlink()  # else the SDK needn't upload it
    os.sync()
    seconds[SDK_UPLOAD] = tracker.do("store", str(source.parent))["store"]
    seconds[SDK_DOWNLOAD] = tracker.do("fetch", str(folder / "fetched"))["fetch"]
    shutil.rmtree(folder / "fetched")
    return seconds


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _timed(work: Callable[[], object]) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started


def _copy(source: Path, target: Path, *, sync: bool = False) -> None:
    target.unlink(missing_ok=True)
    subprocess.run(["cp", str(source), str(target)], check=True)
    if sync:
        subprocess.run(["sync", str(target)], check=True)


def _send_bare(source: Path, target: Path, digest: str) -> float:
    """Return the seconds for the file to a process that does only what can't be left out."""
    target.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.server.receiver", str(target)]
    command.append(str(source.stat().st_size))
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None or not (port := process.stdout.readline().strip()):
            raise BenchmarkError(f"{' '.join(command)} doesn't start.")
        try:
            with socket.create_connection(("127.0.0.1", int(port))) as link:
                return _timed(lambda: _send(source, link, digest))
        finally:
            process.terminate()


def _send(source: Path, link: socket.socket, digest: str) -> None:
    with source.open("rb") as file:
        while piece := file.read(_CHUNK):
            link.sendall(piece)
    if (answer := link.recv(_CHUNK).decode()) != digest:
        raise BenchmarkError(f"the bare receiver has {answer!r} instead of {digest}.")


def _put(source: Path, url: str) -> None:
    parts = urlsplit(url)
    with closing(HTTPConnection(parts.netloc, blocksize=_CHUNK)) as link, source.open("rb") as file:
        size = {"Content-Length": str(source.stat().st_size)}
        link.request("PUT", f"{parts.path}?{parts.query}", file, size)
        _expect_success(link)


def _get(url: str, target: Path) -> None:
    target.unlink(missing_ok=True)
    parts = urlsplit(url)
    with closing(HTTPConnection(parts.netloc)) as link, target.open("wb") as file:
        link.request("GET", f"{parts.path}?{parts.query}")
        answer = link.getresponse()
        if answer.status != 200:
            raise BenchmarkError(f"{url}: {answer.status}")
        shutil.copyfileobj(answer, file, _CHUNK)


def _expect_success(link: HTTPConnection) -> None:
    answer = link.getresponse()
    if answer.status != 200:
        raise BenchmarkError(f"an upload was answered by {answer.status}: {answer.read()[:300]!r}")
