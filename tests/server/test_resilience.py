"""What was acknowledged stays, what is half done is never seen, whatever happens to the server."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import pytest

from tests.server import client
from tests.server.conftest import KEY, ROOT, LiveServer, sdk_environment
from tests.warm import warm_python
from wandb_server import faults
from wandb_server.auth import Signer
from wandb_server.urls import Urls

FILES = {"big.bin": os.urandom(3_000_000), "small.txt": b"small"}

SCRIPT = """
import sys, wandb
say = lambda word: (sys.stdout.write(word + "\\n"), sys.stdout.flush())
project, name = sys.argv[1:]
with wandb.init(project=project, id=name) as run:
    run.log({"value": 0})
    say("started")
    sys.stdin.readline()
    for value in range(1, 20):
        run.log({"value": value})
    say("logging")
    artifact = wandb.Artifact("table", type="dataset")
    with artifact.new_file("f.txt") as file:
        file.write(name)
    with artifact.new_file("common.txt") as file:
        file.write("common")
    run.log_artifact(artifact, aliases=[name]).wait()
    same = wandb.Artifact("same", type="dataset")
    with same.new_file("f.txt") as file:
        file.write("the same")
    run.log_artifact(same, aliases=[name]).wait()
    assert run.use_artifact("table:" + name).file is not None
"""


class Script:
    """The SDK at work in a process of its own."""

    def __init__(self, server: LiveServer, home: Path, *arguments: str) -> None:
        home.mkdir()
        retries = {
            f"WANDB__{part}_RETRY_WAIT_{end}_SECONDS": "1"
            for part in ("GRAPHQL", "FILE_STREAM", "FILE_TRANSFER")
            for end in ("MIN", "MAX")
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *arguments],
            env=os.environ | sdk_environment(server.base_url, home) | retries,
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, word: str) -> None:
        assert _pipe(self.process.stdout).readline().strip() == word

    def go_on(self) -> None:
        _pipe(self.process.stdin).write("\n")
        _pipe(self.process.stdin).flush()

    def finish(self) -> int:
        self.process.communicate(timeout=90)
        return self.process.returncode


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Callable[..., Script]]:
    started: list[Script] = []

    def start(server: LiveServer, *arguments: str) -> Script:
        started.append(Script(server, tmp_path / f"home-{len(started)}", *arguments))
        return started[-1]

    yield start
    for item in started:
        item.process.kill()
        item.process.communicate()


def _assert_whole(server: LiveServer, names: list[str]) -> None:
    """Check that each script's run, lines and artifacts are there once."""
    query = """query ($r: String!) { project(name: "p") { run(name: $r) {
        state history historyLineCount } } }"""
    for name in names:
        run = server.data(query, r=name)["project"]["run"]
        values = [json.loads(line)["value"] for line in run["history"]]
        assert (run["state"], values) == ("finished", list(range(20)))
    tables = client.versions(server.data, "p", "table")
    assert sorted(tables) == [f"v{number}" for number in range(len(names))]
    aliases = [alias for found in tables.values() for alias in found]
    assert sorted(aliases) == sorted(["latest", *names])
    (same,) = client.versions(server.data, "p", "same").values()
    assert set(same) == {"latest", *names}


def test_a_run_goes_on_when_its_server_is_killed_and_comes_back(
    mortal: LiveServer, script: Callable[..., Script]
) -> None:
    run = script(mortal, "p", "r1")
    run.wait_for("started")
    mortal.kill()
    run.go_on()
    run.wait_for("logging")
    mortal.start()
    assert run.finish() == 0
    _assert_whole(mortal, ["r1"])


def test_two_runs_at_once_and_lost_answers_make_each_version_once(
    mortal: LiveServer, script: Callable[..., Script]
) -> None:
    mortal.stop()
    mortal.start("--lossy")
    names = ["r1", "r2"]
    runs = [script(mortal, "p", name) for name in names]
    for run in runs:
        run.wait_for("started")
    for run in runs:
        run.go_on()
    assert [run.finish() for run in runs] == [0, 0]
    mortal.kill()
    mortal.start()
    _assert_whole(mortal, names)


def _announce(server: LiveServer) -> tuple[str, list[str], str]:
    """Take a version up to its uploads: its id, where files go, where the manifest goes."""
    artifact_id = client.create(server.data, "p", FILES)["id"]
    uploads = client.ask_uploads(server.data, artifact_id, FILES)
    place = client.announce(server.data, artifact_id, client.manifest(FILES))
    return artifact_id, [url for url in uploads if url is not None], place


def _put_all(server: LiveServer, uploads: list[str], place: str) -> list[int]:
    bodies = [*FILES.values(), client.manifest(FILES)]
    addresses = zip([*uploads, place], bodies, strict=True)
    return [server.request("PUT", url, body, key=None)[0] for url, body in addresses]


def _commit_status(server: LiveServer, artifact_id: str) -> tuple[int, dict[str, Any]]:
    body = json.dumps({"query": client.COMMIT, "variables": {"a": artifact_id}}).encode()
    status, _, answer = server.request("POST", "/graphql", body)
    return status, json.loads(answer)


def test_a_server_killed_in_an_upload_leaves_nothing_and_takes_it_again(
    mortal: LiveServer,
) -> None:
    artifact_id, uploads, place = _announce(mortal)
    target = urlsplit(uploads[0])
    body = FILES["big.bin"]
    with socket.create_connection(("127.0.0.1", mortal.port)) as link:
        head = f"PUT {target.path}?{target.query} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        link.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:2_500_000])
        incoming = mortal.folder / "blobs" / "incoming"
        deadline = time.monotonic() + 30
        while not list(incoming.iterdir()):
            assert time.monotonic() < deadline
        mortal.kill()
    mortal.start()
    assert list(incoming.iterdir()) == []
    assert "wasn't uploaded" in _commit_status(mortal, artifact_id)[1]["errors"][0]["message"]
    assert client.versions(mortal.data, "p") == {}
    assert _put_all(mortal, uploads, place) == [200, 200, 200]
    assert client.commit(mortal.data, artifact_id) == 0


def test_a_full_disk_is_told_and_no_version_appears_until_there_is_room(
    mortal: LiveServer,
) -> None:
    artifact_id, uploads, place = _announce(mortal)
    assert faults.ask(mortal.base_url, KEY) is None
    mortal.stop()
    began = time.time()
    mortal.start("--largest-file", "1500000")
    status, _, answer = mortal.request("PUT", uploads[0], FILES["big.bin"], key=None)
    assert status == 503
    message = json.loads(answer)["error"]
    assert f"can't use the data folder {mortal.folder}: File too large" in message
    # The SDK doesn't show this answer to anybody, so it can be asked for.
    assert mortal.request("GET", faults.PATH, key=None)[0] == 401
    fault = faults.ask(mortal.base_url, KEY)
    assert fault is not None
    assert (fault.message, fault.at > began) == (message, True)
    assert list((mortal.folder / "blobs" / "incoming").iterdir()) == []
    assert _put_all(mortal, uploads, place) == [503, 200, 200]
    assert "'big.bin' wasn't uploaded" in str(_commit_status(mortal, artifact_id)[1]["errors"])
    assert client.versions(mortal.data, "p") == {}
    mortal.stop()
    mortal.start()
    assert _put_all(mortal, uploads, place) == [200, 200, 200]
    assert client.commit(mortal.data, artifact_id) == 0


def test_a_version_that_was_acknowledged_survives_a_kill(mortal: LiveServer) -> None:
    for number in range(5):
        files = {"f": str(number).encode()}
        artifact_id = client.create(mortal.data, "p", files)["id"]
        for content in (files["f"], client.manifest(files)):
            digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
            url = Urls(mortal.base_url, Signer(KEY)).upload_blob(digest)
            assert mortal.request("PUT", url, content, key=None)[0] == 200
        client.announce(mortal.data, artifact_id, client.manifest(files))
        assert client.commit(mortal.data, artifact_id) == number
        mortal.kill()
        mortal.start()
        expected = ["latest"]
        assert client.versions(mortal.data, "p")[f"v{number}"] == expected


def test_a_damaged_file_is_named_and_not_served(mortal: LiveServer) -> None:
    digest = hashlib.md5(b"x", usedforsecurity=False).hexdigest()
    path = Urls(mortal.base_url, Signer(KEY)).download(digest, "f")
    status, _, answer = mortal.request("GET", path, key=None)
    assert status == 410
    assert digest in json.loads(answer)["error"]


def test_the_server_outlives_the_folder_that_it_was_started_from(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(ROOT / "wandb_server", clone / "wandb_server")
    with warm_python(PYTHONPATH=str(clone)) as nursery:
        server = LiveServer(tmp_path / "data", nursery)
        shutil.rmtree(clone)
        artifact_id, uploads, place = _announce(server)
        assert _put_all(server, uploads, place) == [200, 200, 200]
        assert client.commit(server.data, artifact_id) == 0
        upsert = 'mutation { upsertBucket(input: {name: "r", modelName: "p"}) { inserted } }'
        server.data(upsert)
        assert server.request("POST", "/files/local/p/r/file_stream", b"{}")[0] == 200
        assert server.request("POST", "/graphql", b"{")[0] == 400
        assert server.request("GET", "/nothing")[0] == 404
        server.kill()
