"""Many writers at once, and requests that come again: each version once, each alias on one."""

import json
import os
import random
import socket
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.server import client
from tests.server.conftest import LiveServer, sdk_environment
from tests.server.fuzz import AUTHORIZATION

# Each process logs its own versions; all log the same one at the moment that the file appears.
SCRIPT = """
import sys, time, pathlib, wandb
project, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
def artifact(collection, text):
    made = wandb.Artifact(collection, type="dataset")
    with made.new_file("f.txt") as file:
        file.write(text)
    return made
with wandb.init(project=project, id=name) as run:
    same = artifact("same", "the same")
    print("ready", flush=True)
    sys.stdin.readline()
    run.log_artifact(same)
    logged = [run.log_artifact(artifact("many", f"{name} {n}")) for n in range(count)]
    for item in [same, *logged]:
        item.wait()
    print(*sorted(int(item.version[1:]) for item in logged))
"""
UPSERT = """mutation ($p: String) {
    upsertBucket(input: {name: "r", modelName: $p, host: "h"}) { inserted }
}"""
ALIAS = """mutation ($p: String!, $a: ID!) { addAliases(input: {artifactID: $a, aliases: [
    {entityName: "local", projectName: $p, artifactCollectionName: "table", alias: "best"}
]}) { success } }"""
HISTORY = 'query ($p: String) { project(name: $p) { run(name: "r") { history historyKeys } } }'


def _log(server: LiveServer, project: str, files: dict[str, bytes], **fields: Any) -> str:
    """Log a version by the protocol and return its id."""
    artifact = client.create(server.data, project, files, **fields)
    places = client.ask_uploads(server.data, artifact["id"], files)
    content = client.manifest(files)
    places.append(client.announce(server.data, artifact["id"], content))
    for place, body in zip(places, [*files.values(), content], strict=True):
        if place is not None:
            assert server.request("PUT", place, body, key=None)[0] == 200
    client.commit(server.data, artifact["id"])
    return str(artifact["id"])


@pytest.mark.parametrize(
    ("count", "each"), [(3, 8), pytest.param(8, 50, marks=pytest.mark.exhaustive)]
)
def test_processes_that_log_one_name_share_its_versions_without_gaps(
    live: LiveServer, project: str, tmp_path: Path, count: int, each: int
) -> None:
    processes = []
    for number in range(count):
        home = tmp_path / f"home-{number}"
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", SCRIPT, project, f"r{number}", str(each)],
                env=os.environ | sdk_environment(live.base_url, home),
                cwd=home,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        with ThreadPoolExecutor(count) as pool:
            answers = list(pool.map(lambda process: process.communicate("go\n"), processes))
        assert [process.returncode for process in processes] == [0] * count
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    numbers = [int(word) for output, _ in answers for word in output.split()]
    assert sorted(numbers) == list(range(count * each))
    assert list(client.versions(live.data, project, "same")) == ["v0"]


def test_an_alias_is_always_on_one_version_while_it_moves(live: LiveServer, project: str) -> None:
    ids = [_log(live, project, {"f": str(number).encode()}) for number in range(4)]
    live.data(ALIAS, p=project, a=ids[0])
    over = threading.Event()

    def read() -> int:
        seen = 0
        while not over.is_set():
            holders = [
                version
                for version, held in client.versions(live.data, project).items()
                if "best" in held
            ]
            assert len(holders) == 1
            seen += 1
        return seen

    def move(artifact_id: str) -> None:
        for _ in range(10):
            live.data(ALIAS, p=project, a=artifact_id)

    with ThreadPoolExecutor(6) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            for _ in pool.map(move, ids):
                pass
        finally:
            over.set()
    assert min(reader.result() for reader in readers) > 3


def test_a_request_whose_client_has_gone_is_not_carried_out_later(
    live: LiveServer, project: str
) -> None:
    old = _log(live, project, {"f": b"old"})
    new = _log(live, project, {"f": b"new"})
    live.data(ALIAS, p=project, a=new)
    body = json.dumps({"query": ALIAS, "variables": {"p": project, "a": old}}).encode()
    head = f"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {AUTHORIZATION}\r\n"
    with closing(sqlite3.connect(live.folder / "wandb.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with socket.create_connection(("127.0.0.1", live.port)) as link:
            link.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            # An answer to somebody else says that the server has read what came before.
            assert live.request("GET", "/healthz")[0] == 200
        for _ in range(3):
            assert live.request("GET", "/healthz")[0] == 200
        other.execute("ROLLBACK")
    live.data(UPSERT, p=project)  # waits for its turn behind the other one
    assert client.versions(live.data, project) == {"v1": ["latest", "best"], "v0": []}


def test_requests_that_come_again_in_any_order_change_nothing(
    live: LiveServer, project: str
) -> None:
    sent: list[tuple[str, str, bytes]] = []

    def record(method: str, path: str, body: bytes) -> bytes:
        sent.append((method, path, body))
        status, _, answer = live.request(method, path, body)
        assert status == 200, answer
        return answer

    def data(query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        return json.loads(record("POST", "/graphql", body))["data"]

    live.data(UPSERT, p=project)
    for number in range(3):
        files = {"own": str(number).encode(), "common": b"common"}
        aliases = [{"artifactCollectionName": "table", "alias": "best"}]
        made = client.create(data, project, files, clientID=f"{project}-{number}", aliases=aliases)
        content = client.manifest(files)
        places = client.ask_uploads(data, made["id"], files)
        places.append(client.announce(data, made["id"], content))
        for place, body in zip(places, [*files.values(), content], strict=True):
            if place is not None:
                record("PUT", place, body)
        client.commit(data, made["id"])
        lines = [json.dumps({"_step": 2 * number + step, "v": step}) for step in range(2)]
        chunk = {"offset": 2 * number, "content": lines}
        post = json.dumps({"files": {"wandb-history.jsonl": chunk}}).encode()
        record("POST", f"/files/local/{project}/r/file_stream", post)

    def state() -> Any:
        return client.versions(live.data, project), live.data(HISTORY, p=project)

    before = state()
    assert before[0] == {"v2": ["latest", "best"], "v1": [], "v0": []}
    chance = random.Random(5)
    for method, path, body in chance.sample(sent * 2, 2 * len(sent)):
        assert live.request(method, path, body)[0] == 200
    assert state() == before
