"""What every test gets: a home, a W&B and a server data folder of its own."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.warm import WarmPython, warm_python
from wandb_server import Server, ensure_running, paths, service


def pytest_configure() -> None:
    """Let the programs under test hear Ctrl-C, even where the tests are a background job."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the file that takes longest, and end with many short ones, to even out the ends.

    What uses the environments that the first file makes comes later, so that nobody waits.
    """
    order = {"test_first_run.py": 0, "pipeline": 1, "steps": 2, "end_to_end": 3, "server": 5}

    def rank(item: pytest.Item) -> int:
        parts = item.path.relative_to(Path(__file__).parent).parts
        return next((number for name, number in order.items() if name in parts), 4)

    items.sort(key=rank)


@pytest.fixture(scope="session", autouse=True)
def isolated_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the whole session away from the user's home, accounts and local server."""
    home = tmp_path_factory.mktemp("home")
    caches = Path.home() / ".cache"
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("WANDB_", "MLFLOW_", "XDG_")):
                patch.delenv(name)
        patch.setenv("HOME", str(home))
        # What the machine has downloaded before need not be downloaded again.
        for name, folder in (("UV_CACHE_DIR", "uv"), ("PIP_CACHE_DIR", "pip")):
            patch.setenv(name, os.environ.get(name, str(caches / folder)))
        # Where there is a proxy, it isn't asked for this very machine.
        past = os.environ.get("NO_PROXY") or os.environ.get("no_proxy")
        direct = filter(None, [past, "127.0.0.1", "127.0.0.2", "localhost"])
        patch.setenv("no_proxy", ",".join(direct))
        patch.delenv("NO_PROXY", raising=False)
        for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_CONFIG_DIR"):
            folder = home / name.lower()
            folder.mkdir()
            patch.setenv(name, str(folder))
        patch.setenv("WANDB_ERROR_REPORTING", "false")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("WANDB_SERVER_DIR", str(give_free_port(home / "wandb-server")))
        yield home
        service.stop()


@pytest.fixture(scope="session")
def python() -> Iterator[WarmPython]:
    """Runs programs without the time that their imports take."""
    with warm_python() as python:
        yield python


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """Begin each test with a person's umask: the server's commands, run in here, narrow it."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def own_sdk_service() -> None:
    """Let the programs that a test starts begin the SDK's background process of their own.

    The SDK leaves the address of its process in the variables of whoever uses it, for children: an
    earlier test's would answer a program in another network, or with another key.
    """
    os.environ.pop("WANDB_SERVICE", None)


@pytest.fixture
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty server data folder for one test, whose server is stopped afterwards."""
    folder = give_free_port(tmp_path / "server data")
    monkeypatch.setenv("WANDB_SERVER_DIR", str(folder))
    yield folder
    service.stop()


@pytest.fixture
def server(data_folder: Path) -> Server:
    """A running server for one test."""
    server = ensure_running()
    assert server.data_dir == data_folder
    return server


@pytest.fixture(scope="module")
def module_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server with an empty data folder, for the tests of one module."""
    with pytest.MonkeyPatch.context() as patch:
        folder = give_free_port(tmp_path_factory.mktemp("module") / "server data")
        patch.setenv("WANDB_SERVER_DIR", str(folder))
        yield ensure_running()
        service.stop()


def give_free_port(folder: Path) -> Path:
    """Make a data folder whose server starts on a free port, not on the user's usual one."""
    folder.mkdir(mode=0o700)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        (folder / paths.PORT).write_text(str(probe.getsockname()[1]))
    return folder
