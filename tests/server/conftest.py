"""Servers for the tests: the application in this process, and real ones in their own."""

import base64
import http.client
import itertools
import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.warm import Program, WarmPython, warm_python
from wandb_server import paths
from wandb_server.auth import Signer
from wandb_server.blobs import BlobStore
from wandb_server.database import Database
from wandb_server.graphql_endpoint import GraphQLEndpoint, Query
from wandb_server.urls import Urls
from wandb_server.version_rows import spread_version_rows

KEY = "local-" + "0123456789abcdef" * 3
RUNNER = Path(__file__).with_name("run_app.py")
LIBRARIES = ("uvicorn", "wandb_server.app", "wandb_server.pages.routes")
ROOT = Path(__file__).parents[2]
_names = itertools.count()


class Core:
    """The server's inside, without HTTP: GraphQL in, answers out."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.signer = Signer(KEY)
        self.urls = Urls("http://127.0.0.1:1", self.signer)
        self.blobs = BlobStore(folder / "blobs")
        is_new = not (folder / paths.DATABASE).exists()
        if is_new:
            (folder / paths.DATABASE).write_bytes(_empty_database())
        self.database = Database(folder / paths.DATABASE)
        if is_new:  # no two servers give their versions the same ids
            with self.database.write() as connection:
                spread_version_rows(connection)
        self.endpoint = GraphQLEndpoint(self.database, self.blobs)

    def ask(self, text: str, **variables: Any) -> dict[str, Any]:
        return self.endpoint.execute(Query(text, variables, None), self.urls)

    def data(self, text: str, **variables: Any) -> Any:
        answer = self.ask(text, **variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def error(self, text: str, **variables: Any) -> str:
        answer = self.ask(text, **variables)
        assert answer["data"] is None
        return answer["errors"][0]["message"]


@cache
def _empty_database() -> bytes:
    """Give the file of a database as it is made: to make it takes as long as many a test."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, paths.DATABASE)
        Database(path).close()
        return path.read_bytes()


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    core = Core(tmp_path / "core")
    yield core
    core.database.close()


class LiveServer:
    """A server process that can be killed and started again on the same port."""

    def __init__(self, folder: Path, nursery: WarmPython) -> None:
        self.folder = folder
        self.port = 0
        self._nursery = nursery
        self.start()

    def start(self, *options: str) -> None:
        words = [str(self.folder), KEY, str(self.port), *options]
        self._program: Program | None = self._nursery.start(
            str(RUNNER), *words, cwd=self.folder.parent, env=os.environ, libraries=LIBRARIES
        )
        self.pid = self._program.pid
        said = self._program.outputs[0].fileno()
        deadline = time.monotonic() + 30
        while not (port := os.pread(said, 100, 0)):
            assert time.monotonic() < deadline, self._program.communicate()
            time.sleep(0.002)
        self.port = int(port)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._program:
            self._program.send_signal(how)
            said = self._program.communicate()
            assert self._program.returncode == -how, said
            self._program = None

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        key: str | None = KEY,
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request; `path` may be a whole address. Returns status, headers, body."""
        parts = urlsplit(path)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        sent = dict(headers or {})
        if key is not None:
            sent["Authorization"] = "Basic " + base64.b64encode(f"api:{key}".encode()).decode()
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as link:
            link.request(method, target, body, sent)
            answer = link.getresponse()
            received = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, received, answer.read()

    def data(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables, "operationName": ""})
        status, _, answer = self.request("POST", "/graphql", body.encode())
        fields = json.loads(answer)
        assert status == 200, fields
        assert "errors" not in fields, fields
        return fields["data"]


@pytest.fixture(scope="session")
def nursery() -> Iterator[WarmPython]:
    """Where the servers of this session come from."""
    with warm_python(PYTHONPATH=str(ROOT)) as nursery:
        yield nursery


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory, nursery: WarmPython) -> Iterator[LiveServer]:
    """A server for the whole session; tests keep apart by their project names."""
    server = LiveServer(tmp_path_factory.mktemp("live"), nursery)
    yield server
    server.stop()


@pytest.fixture
def mortal(tmp_path: Path, nursery: WarmPython) -> Iterator[LiveServer]:
    """A server of its own for a test that kills it."""
    server = LiveServer(tmp_path / "mortal", nursery)
    yield server
    server.kill()


@pytest.fixture
def project() -> str:
    """The name of a project that no other test uses."""
    return f"project-{next(_names)}"


def sdk_environment(base_url: str, home: Path) -> dict[str, str]:
    """The environment of an SDK that talks to a server and writes below `home` only."""
    folders = {
        name: str(home / name.lower())
        for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_CONFIG_DIR")
    }
    for folder in folders.values():
        Path(folder).mkdir(parents=True, exist_ok=True)
    return {
        **folders,
        "HOME": str(home),
        "WANDB_BASE_URL": base_url,
        "WANDB_API_KEY": KEY,
        "WANDB_SILENT": "true",
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_CONSOLE": "wrap",
    }


@contextmanager
def use_sdk(base_url: str, home: Path) -> Iterator[ModuleType]:
    """Give the real SDK in this process, pointed at a server, with `home` as current folder."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sdk_environment(base_url, home).items():
            patch.setenv(name, value)
        patch.chdir(home)
        import wandb

        wandb.teardown()
        yield wandb
        wandb.teardown()


@pytest.fixture(scope="module")
def wandb(live: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The real SDK in this process, pointed at the live server."""
    with use_sdk(live.base_url, tmp_path_factory.mktemp("sdk")) as wandb:
        yield wandb
