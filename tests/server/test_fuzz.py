"""Ten thousand made-up requests: each gets an answer that makes sense, and none does harm."""

import asyncio
import gc
import json
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message

from tests.server import client
from tests.server.conftest import KEY, LiveServer
from tests.server.fuzz import AUTHORIZATION, Fuzzer, Made
from wandb_server import ids
from wandb_server.app import create_app
from wandb_server.graphql_endpoint import GraphQLEndpoint, Query
from wandb_server.pages.routes import add_pages
from wandb_server.urls import Urls

UPSERT = """mutation ($name: String) {
    upsertBucket(input: {name: $name, modelName: "p", config: "{}"}) { inserted }
}"""
SWEEP = """mutation { upsertSweep(input: {projectName: "p",
    config: "method: random\\nparameters: {a: {min: 0.0, max: 1.0}}"}) { sweep { id } } }"""
IN_PROCESS = 9_500
ALL = pytest.param(IN_PROCESS, marks=pytest.mark.exhaustive)
OVER_SOCKET = 500
# What a request may take on a busy machine.
SECONDS = 20.0


class Answer:
    """Collects what an ASGI application sends."""

    def __init__(self) -> None:
        self.status = 0
        self.body = bytearray()

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            for name, value in message["headers"]:
                assert b"\r" not in name + value
                assert b"\n" not in name + value
        self.body += message.get("body", b"")


async def ask(app: ASGIApp, made: Made) -> Answer:
    """Send a request to an application in this process, as a server would."""
    path, _, query = made.path.partition("?")
    headers = {"Host": "127.0.0.1", "Authorization": AUTHORIZATION, **made.headers}
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": made.method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 9263),
    }
    messages = [{"type": "http.request", "body": made.body, "more_body": False}]

    async def listen() -> Message:
        if not messages:
            await asyncio.Event().wait()  # the client waits for its answer
        return messages.pop()

    answer = Answer()
    await asyncio.wait_for(app(scope, listen, answer.take), SECONDS)
    return answer


def _check(made: Made, answer: Answer) -> None:
    assert 200 <= answer.status < 500, (answer.status, bytes(answer.body[:500]), made)
    if made.path == "/graphql" and answer.status == 200:
        fields = json.loads(answer.body)
        assert set(fields) <= {"data", "errors"}, made
        assert fields["data"] is not None or all(error["message"] for error in fields["errors"])


def _resident_kilobytes(process: int | str = "self") -> int:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


async def _fuzz(core: Starlette, count: int) -> tuple[Counter[int], list[int]]:
    """Send requests; returns the answers' statuses and the memory after each tenth of them."""
    app = add_pages(core)
    fuzzer = Fuzzer(seed=20261121)
    statuses: Counter[int] = Counter()
    memory = []
    for number in range(count):
        if number % 50 == 0:
            _replenish(core, fuzzer)
        made = fuzzer.make()
        answer = await ask(app, made)
        _check(made, answer)
        statuses[answer.status] += 1
        if number % (count // 10) == 0:
            gc.collect()
            memory.append(_resident_kilobytes())
    return statuses, memory


def _replenish(app: Starlette, fuzzer: Fuzzer) -> None:
    """Log runs, a version and a sweep, since the requests may have deleted what was there."""
    endpoint = GraphQLEndpoint(app.state.database, app.state.blobs)
    urls = Urls("http://127.0.0.1:1", app.state.signer)

    def data(text: str, **variables: Any) -> Any:
        answer = endpoint.execute(Query(text, variables, None), urls)
        assert "errors" not in answer, answer
        return answer["data"]

    data(UPSERT, name="r")
    data(UPSERT, name="s")
    data(SWEEP)
    fuzzer.rows += 1
    files = {"f.txt": str(fuzzer.rows).encode()}
    name = f"t{fuzzer.rows}"  # its own, since the requests may have moved others to another type
    artifact = client.create(data, "p", files, artifactCollectionName=name, runName="r")
    if fuzzer.rows == 1:
        fuzzer.first_version = ids.decode("Artifact", artifact["id"])
    for content in (files["f.txt"], client.manifest(files)):
        app.state.blobs.write(content)
    client.announce(data, artifact["id"], client.manifest(files))
    client.commit(data, artifact["id"])


@pytest.mark.parametrize("count", [IN_PROCESS // 20, ALL])
def test_made_up_requests_are_answered_or_refused(tmp_path: Path, count: int) -> None:
    app = create_app(tmp_path / "data", KEY)
    statuses, memory = asyncio.run(_fuzz(app, count))
    app.state.database.close()
    assert statuses.keys() >= {200, 400, 403, 404, 405, 422}
    # What is kept for the next time (parsed queries, open files) is there after a while.
    assert memory[-1] - memory[4] < 20_000, memory
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_noise_on_the_wire_neither_stops_nor_swells_the_server(mortal: LiveServer) -> None:
    fuzzer = Fuzzer(seed=7)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(partial(_send, mortal), (fuzzer.noise() for _ in range(100))))
        before = _resident_kilobytes(mortal.pid)
        more = (fuzzer.noise() for _ in range(OVER_SOCKET - 100))
        answers += pool.map(partial(_send, mortal), more)
    assert _resident_kilobytes(mortal.pid) - before < 20_000
    statuses = {answer[9:12] for answer in answers}
    assert statuses >= {b"200", b"400"}
    assert statuses <= {b"", b"200", b"204", *(b"%d" % code for code in range(400, 500))}
    assert mortal.data("{ viewer { entity } }")["viewer"]["entity"] == "local"


def _send(server: LiveServer, noise: bytes) -> bytes:
    """Send bytes and read the answer; b"" when there is none, as to half a request."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.2) as link:
        try:
            link.sendall(noise)
            return link.recv(65536)
        except (ConnectionError, TimeoutError):
            return b""
