"""A server killed two hundred times at random loses nothing that it acknowledged."""

import base64
import hashlib
import http.client
import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.server import client
from tests.server.conftest import KEY, ROOT, sdk_environment

KILLS = [30, pytest.param(200, marks=pytest.mark.exhaustive)]
VERSIONS = 8  # logged at least, however slow the machine
SECONDS = 120.0  # for all of them, on a busy machine
AUTHORIZATION = "Basic " + base64.b64encode(f"api:{KEY}".encode()).decode()
UPSERT = """mutation ($r: String) {
    upsertBucket(input: {name: $r, modelName: "p", host: "h"}) { inserted }
}"""
ALIAS = """mutation ($a: ID!, $l: String!) { addAliases(input: {artifactID: $a, aliases: [
    {entityName: "local", projectName: "p", artifactCollectionName: "table", alias: $l}
]}) { success } }"""
RUN_FILES = """mutation ($r: String!, $f: [String!]!) { createRunFiles(
    input: {projectName: "p", runName: $r, files: $f}
) { files { uploadUrl } } }"""
READ_RUN = """query ($r: String) { project(name: "p") { run(name: $r) {
    history(minStep: 0) historyKeys summaryMetrics files { edges { node { name md5 } } }
} } }"""
READ_FILES = """query ($n: String!) { project(name: "p") { artifact(name: $n) {
    files { edges { node { name md5 directUrl } } }
} } }"""
COUNT = """query ($r: String) { project(name: "p") {
    run(name: $r) { historyLineCount }
    artifactCollection(name: "table") { artifacts(first: 1) { totalCount } }
} }"""


SCRIPT = """
import wandb
with wandb.init(project="p", id="r") as run:
    for number in range(6):
        run.log({"v": number})
        artifact = wandb.Artifact("table", type="dataset")
        with artifact.new_file("own.txt") as file:
            file.write(str(number))
        run.log_artifact(artifact, aliases=["best"]).wait()
"""
# The SDK takes whole seconds; by default it would wait for up to a minute.
RETRIES = {
    f"WANDB__{part}_RETRY_WAIT_{end}_SECONDS": "1"
    for part in ("GRAPHQL", "FILE_STREAM", "FILE_TRANSFER")
    for end in ("MIN", "MAX")
}


class Mortal:
    """A server that is killed and back at once, on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("run_mortal.py")), str(folder), KEY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        self.port = int(self._read())

    def kill(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("again\n")
        self._process.stdin.flush()
        self._read()

    def end(self) -> None:
        self._process.communicate(timeout=30)
        assert self._process.returncode == 0

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


class Link:
    """A connection that repeats each request until it is acknowledged, as the SDK does."""

    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self.repeats = 0

    def send(self, method: str, path: str, body: bytes = b"") -> bytes:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            try:
                self._http.request(method, path, body, {"Authorization": AUTHORIZATION})
                answer = self._http.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException):
                self._http.close()
                self.repeats += 1
                time.sleep(0.02)
                continue
            assert answer.status == 200, content
            return content
        raise TimeoutError(f"{method} {path} was never acknowledged")

    def close(self) -> None:
        self._http.close()

    def data(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        answer = json.loads(self.send("POST", "/graphql", body))
        assert "errors" not in answer, answer
        return answer["data"]

    def put(self, url: str, body: bytes) -> None:
        parts = urlsplit(url)
        self.send("PUT", f"{parts.path}?{parts.query}", body)

    def get(self, url: str) -> bytes:
        parts = urlsplit(url)
        return self.send("GET", f"{parts.path}?{parts.query}")


class Work:
    """What clients have had acknowledged so far, and when they are to stop."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.lines: dict[str, int] = {}
        self.files: dict[str, dict[str, bytes]] = {}
        self.versions: dict[int, dict[str, bytes]] = {}
        self.aliases: dict[str, int] = {}


def _stream(link: Link, work: Work, run: str) -> None:
    """Log history and summary, a few lines a post."""
    link.data(UPSERT, r=run)
    work.lines[run] = 0
    while not work.over.is_set():
        first = work.lines[run]
        lines = [json.dumps({"_step": step, "v": step}) for step in range(first, first + 3)]
        files = {
            "wandb-history.jsonl": {"offset": first, "content": lines},
            "wandb-summary.json": {"offset": 0, "content": [lines[-1]]},
        }
        link.send(
            "POST", f"/files/local/p/{run}/file_stream", json.dumps({"files": files}).encode()
        )
        work.lines[run] = first + 3


def _upload(link: Link, work: Work, run: str) -> None:
    """Upload files of a run, each of them again and again with other content."""
    link.data(UPSERT, r=run)
    work.files[run] = {}
    number = 0
    while not work.over.is_set():
        number += 1
        name, content = f"f{number % 7}.txt", f"{run} {number} ".encode() * 20_000
        (place,) = link.data(RUN_FILES, r=run, f=[name])["createRunFiles"]["files"]
        link.put(place["uploadUrl"], content)
        work.files[run][name] = content


def _commit(link: Link, work: Work, name: str) -> None:
    """Log versions of one artifact, each with an alias that moves along."""
    number = 0
    while not work.over.is_set():
        number += 1
        files = {"own.txt": f"{name} {number}".encode(), "common.txt": b"common"}
        aliases = [{"artifactCollectionName": "table", "alias": name}]
        made = client.create(link.data, "p", files, clientID=f"{name}-{number}", aliases=aliases)
        places = client.ask_uploads(link.data, made["id"], files)
        for place, content in zip(places, files.values(), strict=True):
            if place is not None:
                link.put(place, content)
        content = client.manifest(files)
        link.put(client.announce(link.data, made["id"], content), content)
        version = client.commit(link.data, made["id"])
        assert version not in work.versions
        work.versions[version] = files
        work.aliases[name] = version
        link.data(ALIAS, a=made["id"], l=f"moved-by-{name}")
        work.aliases[f"moved-by-{name}"] = version


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Mortal]:
    server = Mortal(tmp_path / "data")
    yield server
    server.end()


@pytest.fixture
def connect(mortal: Mortal) -> Iterator[Callable[[], Link]]:
    with ExitStack() as links:
        yield lambda: links.enter_context(closing(Link(mortal.port)))


@pytest.mark.parametrize("kills", KILLS)
def test_what_was_acknowledged_survives_kills_at_any_moment(
    mortal: Mortal, connect: Callable[[], Link], kills: int
) -> None:
    work = Work()
    tasks: list[tuple[Callable[[Link, Work, str], None], str]] = [
        (_stream, "r1"),
        (_stream, "r2"),
        (_upload, "u1"),
        (_commit, "a"),
        (_commit, "b"),
    ]
    links = [connect() for _ in tasks]
    watcher = connect()
    watcher.data(UPSERT, r="r1")
    with ThreadPoolExecutor(len(tasks)) as pool:
        running = [
            pool.submit(task, link, work, name)
            for (task, name), link in zip(tasks, links, strict=True)
        ]
        try:
            _kill_often(mortal, watcher, work, running, kills)
        finally:
            work.over.set()
    _raise_first(running)
    mortal.kill()
    assert sum(link.repeats for link in links) > kills / 4
    assert len(work.versions) >= VERSIONS
    _check_runs(watcher, work)
    _check_versions(watcher, work)
    _check_folder(mortal.folder, 2 * len(work.versions))


def _kill_often(
    mortal: Mortal, watcher: Link, work: Work, running: list[Future[None]], kills: int
) -> None:
    chance = random.Random(20261121)
    for number in range(20 * kills):
        if number >= kills and len(work.versions) >= VERSIONS:
            break
        # Every fifth server dies while it starts, the others at work.
        time.sleep(chance.uniform(0, 0.01 if number % 5 == 0 else 0.09))
        lines, versions = work.lines.get("r1", 0), len(work.versions)
        mortal.kill()
        if number % 5:
            _check_kept(watcher, lines, versions)
        _raise_first(running)


def _check_kept(link: Link, lines: int, versions: int) -> None:
    """Check, as soon as the server is back, that what had been acknowledged is there."""
    project = link.data(COUNT, r="r1")["project"]
    assert project["run"]["historyLineCount"] >= lines
    if versions:
        assert project["artifactCollection"]["artifacts"]["totalCount"] >= versions


def test_the_sdk_goes_on_when_its_server_dies_again_and_again(
    mortal: Mortal, connect: Callable[[], Link], tmp_path: Path
) -> None:
    chance = random.Random(3)
    home = tmp_path / "home"
    environment = os.environ | sdk_environment(f"http://127.0.0.1:{mortal.port}", home) | RETRIES
    script = subprocess.Popen([sys.executable, "-c", SCRIPT], env=environment, cwd=home)
    try:
        for _ in range(8):
            time.sleep(chance.uniform(0.1, 0.8))
            mortal.kill()
        assert script.wait(SECONDS) == 0
    finally:
        script.kill()
        script.wait()
    link = connect()
    run = link.data(READ_RUN, r="r")["project"]["run"]
    assert [json.loads(line)["v"] for line in run["history"]] == list(range(6))
    found = client.versions(link.data, "p")
    assert found == {f"v{number}": [] for number in range(5)} | {"v5": ["latest", "best"]}


def _raise_first(running: list[Future[None]]) -> None:
    for future in running:
        if future.done():
            future.result()


def _check_runs(link: Link, work: Work) -> None:
    for run, count in work.lines.items():
        found = link.data(READ_RUN, r=run)["project"]["run"]
        assert count > 0
        assert [json.loads(line)["v"] for line in found["history"]] == list(range(count))
        assert found["historyKeys"]["keys"]["v"]["typeCounts"][0]["count"] == count
        assert json.loads(found["summaryMetrics"])["v"] == count - 1
    for run, files in work.files.items():
        edges = link.data(READ_RUN, r=run)["project"]["run"]["files"]["edges"]
        found = {edge["node"]["name"]: edge["node"]["md5"] for edge in edges}
        assert found == {name: client.md5(content) for name, content in files.items()}


def _check_versions(link: Link, work: Work) -> None:
    """Check that there is each version once, with its files, and each alias where it belongs."""
    assert sorted(work.versions) == list(range(len(work.versions)))
    found = client.versions(link.data, "p")
    assert set(found) == {f"v{number}" for number in work.versions}
    aliases = {alias: int(version[1:]) for version, held in found.items() for alias in held}
    assert aliases == work.aliases | {"latest": len(work.versions) - 1}
    for number, files in work.versions.items():
        artifact = link.data(READ_FILES, n=f"table:v{number}")["project"]["artifact"]
        nodes = {edge["node"]["name"]: edge["node"] for edge in artifact["files"]["edges"]}
        assert nodes.keys() == files.keys()
        assert link.get(nodes["own.txt"]["directUrl"]) == files["own.txt"]


def _check_folder(folder: Path, least: int) -> None:
    with closing(sqlite3.connect(folder / "wandb.sqlite3")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    assert list((folder / "blobs" / "incoming").iterdir()) == []
    blobs = [path for path in (folder / "blobs").glob("??/*") if path.is_file()]
    for path in blobs:
        content = path.read_bytes()
        assert hashlib.md5(content, usedforsecurity=False).hexdigest() == path.name
    assert len(blobs) > least
