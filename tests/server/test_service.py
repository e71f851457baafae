"""The local server as a service: one per data folder, found, started and stopped safely."""

import asyncio
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wandb_server import (
    Server,
    ServerError,
    ensure_running,
    health,
    keys,
    locks,
    paths,
    process,
    service,
)
from wandb_server.version import API_VERSION

ROOT = Path(__file__).parents[2]
SAY_SERVER = (
    "import json, wandb_server; s = wandb_server.ensure_running(); "
    "print(json.dumps([s.health.pid, s.base_url, s.api_key]))"
)


def start_python(code: str, folder: Path = ROOT) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", code]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_until(happens: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, f"didn't happen within {seconds} s"
        time.sleep(0.02)


def has_ended(server: Server) -> bool:
    return not locks.is_taken(server.data_dir / paths.SERVER_LOCK)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_eight_simultaneous_callers_get_one_server_and_one_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_SERVER_DIR", str(tmp_path / "not" / "there yet"))
    callers = [start_python(SAY_SERVER) for _ in range(8)]
    replies = [caller.communicate(timeout=50) for caller in callers]
    try:
        assert [errors for _, errors in replies] == [""] * 8
        assert len({said for said, _ in replies}) == 1
    finally:
        assert service.stop()


def test_a_second_call_gives_the_same_server(module_server: Server) -> None:
    assert ensure_running() == module_server


def test_key_and_folder_are_for_their_owner_only(module_server: Server) -> None:
    assert len(module_server.api_key) >= 40
    assert mode(module_server.data_dir) == 0o700
    assert {mode(path) for path in module_server.data_dir.iterdir() if path.is_file()} == {0o600}


def test_the_key_does_not_show_in_the_repr(module_server: Server) -> None:
    assert module_server.api_key not in repr(module_server)


def test_a_killed_server_is_replaced_on_the_same_port_with_the_same_key(server: Server) -> None:
    os.kill(server.health.pid, signal.SIGKILL)
    wait_until(lambda: has_ended(server))
    successor = ensure_running()
    assert successor.health.pid != server.health.pid
    assert (successor.base_url, successor.api_key) == (server.base_url, server.api_key)


def test_a_stopped_server_comes_back_on_the_same_port(server: Server) -> None:
    assert service.stop()
    assert ensure_running().base_url == server.base_url


def test_stop_tells_when_nothing_runs(data_folder: Path) -> None:
    assert not service.stop()
    assert list(data_folder.iterdir()) == [data_folder / paths.PORT]


def test_the_server_outlives_its_caller_in_a_session_and_folder_of_its_own(
    data_folder: Path,
) -> None:
    caller = start_python(SAY_SERVER)
    said, errors = caller.communicate(timeout=50)
    assert errors == ""
    pid = json.loads(said)[0]
    assert os.getsid(pid) not in {os.getsid(0), caller.pid}
    assert Path(f"/proc/{pid}/cwd").resolve() == data_folder.resolve()
    assert service.find(data_folder, keys.load_or_create_key(data_folder)) is not None


@pytest.mark.usefixtures("data_folder")
def test_the_server_keeps_no_file_of_its_caller_open() -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)  # as a shell's redirections are
    ensure_running()
    os.close(writer)
    assert os.read(reader, 1) == b""  # the end, so nobody else can write
    os.close(reader)


@pytest.mark.usefixtures("data_folder")
def test_the_server_sees_nothing_that_is_meant_for_its_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("MLFLOW_RUN_ID", "WANDB_API_KEY", "WANDB_MODE", "PYTHONWARNINGS"):
        monkeypatch.setenv(name, "error")
    monkeypatch.setenv("PYTHONPATH", "relative")
    environment = Path(f"/proc/{ensure_running().health.pid}/environ").read_text().split("\0")
    seen = dict(line.partition("=")[::2] for line in environment if line)
    assert not [name for name in seen if name.startswith(("MLFLOW_", "WANDB_", "PYTHONW"))]
    assert seen["PYTHONPATH"].split(os.pathsep) == [str(ROOT), str(Path.cwd() / "relative")]


class Impostor(http.server.BaseHTTPRequestHandler):
    """Answers as a server would, naming its own process, but can't know the key."""

    def do_GET(self) -> None:
        fields = {"status": "ok", "pid": os.getpid(), "version": "9", "started_at": 0.0}
        body = json.dumps(fields | {"api_version": API_VERSION, "proof": "0" * 64}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def impostor() -> Iterator[int]:
    """Port of a stranger that took over a dead server's port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Impostor) as stranger:
        thread = threading.Thread(target=stranger.serve_forever)
        thread.start()
        yield stranger.server_address[1]
        stranger.shutdown()
        thread.join()


def test_a_stranger_on_the_old_port_is_neither_trusted_nor_stopped(
    data_folder: Path, impostor: int
) -> None:
    (data_folder / paths.PORT).write_text(str(impostor))
    assert not service.stop()  # the stranger is this very process: the test would end here
    server = ensure_running()
    assert server.base_url != f"http://127.0.0.1:{impostor}"
    assert server.health.pid != os.getpid()


def test_a_taken_port_makes_the_server_choose_another_and_keep_that(
    data_folder: Path, impostor: int
) -> None:
    (data_folder / paths.PORT).write_text(str(impostor))
    chosen = ensure_running().base_url
    service.stop()
    assert ensure_running().base_url == chosen


def test_an_explicit_port_that_is_taken_is_an_error_that_names_it(
    data_folder: Path, impostor: int
) -> None:
    with pytest.raises(ServerError, match=rf"port {impostor} can't be used: Address already in"):
        ensure_running(port=impostor)
    assert not locks.is_taken(data_folder / paths.SERVER_LOCK)


@pytest.mark.parametrize("content", ["", "nonsense", "0", "99999999", "-1"])
def test_a_port_file_without_a_port_is_no_obstacle(data_folder: Path, content: str) -> None:
    (data_folder / paths.PORT).write_text(content)
    assert service.last_port(data_folder) is None


def test_a_copied_data_folder_does_not_take_the_original_server_for_its_own(
    module_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(module_server.data_dir, tmp_path / "copy")
    monkeypatch.setenv("WANDB_SERVER_DIR", str(copy))
    assert service.running() is None
    assert ensure_running().health.pid != module_server.health.pid
    assert service.stop()
    assert not has_ended(module_server)


@pytest.mark.parametrize("below", ["", "deeper/down"])
def test_a_file_in_the_way_of_the_data_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / below
    monkeypatch.setenv("WANDB_SERVER_DIR", str(folder))
    with pytest.raises(ServerError) as refusal:
        ensure_running()
    assert str(folder) in str(refusal.value)
    assert "WANDB_SERVER_DIR" in str(refusal.value)


def test_a_full_disk_is_an_error_that_names_the_folder(data_folder: Path) -> None:
    # Files that may not grow fail at their first byte, as they do on a full disk.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "
    process = start_python(limit + SAY_SERVER)
    errors = process.communicate(timeout=50)[1]
    assert f"ServerError: can't use the data folder {data_folder}" in errors
    assert [path.name for path in data_folder.iterdir()] == [paths.PORT]  # no empty key is left


def test_what_a_server_says_when_it_dies_at_its_start_is_in_the_error(data_folder: Path) -> None:
    (data_folder / "wandb.sqlite3").mkdir()
    with pytest.raises(ServerError, match=r"can't use the data folder .*wandb\.sqlite3"):
        ensure_running()


def test_a_key_that_others_may_read_is_made_private(data_folder: Path) -> None:
    key = keys.load_or_create_key(data_folder)
    (data_folder / paths.KEY).chmod(0o644)
    assert keys.load_or_create_key(data_folder) == key
    assert mode(data_folder / paths.KEY) == 0o600


@pytest.mark.parametrize("content", ["", "short", "x" * 64])
def test_a_damaged_key_is_refused_with_the_way_out(data_folder: Path, content: str) -> None:
    (data_folder / paths.KEY).write_text(content)
    with pytest.raises(ServerError, match=r"api_key is damaged.*Delete it and start"):
        ensure_running()


@pytest.mark.usefixtures("data_folder")
def test_a_server_without_requests_ends_by_itself() -> None:
    server = ensure_running(idle_hours=0.5 / 3600)
    wait_until(lambda: has_ended(server))


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "soon", "inf"])
@pytest.mark.usefixtures("data_folder")
def test_idle_hours_that_make_no_sense_are_refused(
    monkeypatch: pytest.MonkeyPatch, hours: str
) -> None:
    monkeypatch.setenv("WANDB_SERVER_IDLE_HOURS", hours)
    with pytest.raises(ServerError, match=f"WANDB_SERVER_IDLE_HOURS: '{hours}'"):
        ensure_running()


def test_a_server_ends_when_its_data_folder_is_deleted(server: Server) -> None:
    shutil.rmtree(server.data_dir)
    wait_until(lambda: not Path(f"/proc/{server.health.pid}").exists())


def test_a_deleted_key_ends_the_server_and_the_next_one_has_a_new_key(server: Server) -> None:
    (server.data_dir / paths.KEY).unlink()
    successor = ensure_running()
    assert successor.api_key != server.api_key
    assert successor.health.pid != server.health.pid


def test_a_caller_that_is_killed_while_it_starts_a_server_leaves_no_obstacle(
    data_folder: Path,
) -> None:
    caller = start_python(SAY_SERVER)
    wait_until(lambda: (data_folder / paths.START_LOCK).exists())
    caller.kill()
    caller.communicate(timeout=10)
    assert ensure_running() == ensure_running()


def test_a_server_that_is_just_ending_is_waited_for(server: Server) -> None:
    os.kill(server.health.pid, signal.SIGTERM)
    assert ensure_running().health.pid != server.health.pid


def test_stop_lets_a_request_in_flight_end(server: Server) -> None:
    body = json.dumps({"query": "query Viewer { viewer { entity } }", "operationName": ""})
    login = b64encode(f"api:{server.api_key}".encode()).decode()
    head = (
        "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Basic {login}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    stopper = threading.Thread(target=service.stop)
    address = ("127.0.0.1", service.last_port(server.data_dir))
    with socket.create_connection(address, 10) as connection:
        connection.sendall(head.encode() + body[:10].encode())
        wait_until(lambda: health.ask(address[1], server.api_key, "") is None)  # read by now
        stopper.start()
        wait_until(lambda: cannot_connect(address))
        connection.sendall(body[10:].encode())
        reply = connection.makefile("rb").read()
    stopper.join()
    assert reply.startswith(b"HTTP/1.1 200"), reply
    assert reply.endswith(b'"local"}}}'), reply
    assert has_ended(server)


def cannot_connect(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, 1).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_server_that_hangs_is_named_with_the_way_out(
    module_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_START_SECONDS", 2.0)
    monkeypatch.setattr(health, "TIMEOUT", 0.2)
    os.kill(module_server.health.pid, signal.SIGSTOP)
    try:
        with pytest.raises(ServerError, match=r"holds the data folder .* but hasn't answered"):
            ensure_running()
    finally:
        os.kill(module_server.health.pid, signal.SIGCONT)


def test_the_log_stays_small_and_takes_what_is_printed(tmp_path: Path) -> None:
    code = (
        "import logging, pathlib, sys\n"
        "from wandb_server import process\n"
        "process._LOG_BYTES = 1000\n"
        "logging.basicConfig(handlers=[process._BoundedLog(pathlib.Path(sys.argv[1]))])\n"
        "for _ in range(100): logging.warning('x' * 50)\n"
        "print('printed')\n"
    )
    log = tmp_path / "server.log"
    subprocess.run([sys.executable, "-c", code, str(log)], cwd=ROOT, check=True, timeout=20)
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == 2
    assert max(sizes) <= 1000 + len("printed\n")
    assert log.read_text().endswith("printed\n")


def copy_of_package(folder: Path, api_version: int = API_VERSION) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    package = shutil.copytree(ROOT / "wandb_server", folder / "wandb_server", ignore=ignored)
    version = (package / "version.py").read_text()
    assert f"API_VERSION = {API_VERSION}" in version
    (package / "version.py").write_text(
        version.replace(f"API_VERSION = {API_VERSION}", f"API_VERSION = {api_version}")
    )
    return folder


def start_from(folder: Path) -> int:
    said, errors = start_python(SAY_SERVER, folder).communicate(timeout=50)
    assert errors == ""
    return int(json.loads(said)[0])


@pytest.mark.usefixtures("data_folder")
def test_a_server_of_an_older_program_is_restarted_with_a_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = start_from(copy_of_package(tmp_path / "old", API_VERSION - 1))
    assert ensure_running().health.pid != old
    assert "Restarting the local W&B server" in caplog.text


@pytest.mark.usefixtures("data_folder")
def test_a_server_of_a_newer_program_is_left_alone_with_a_message(tmp_path: Path) -> None:
    new = start_from(copy_of_package(tmp_path / "new", API_VERSION + 1))
    with pytest.raises(ServerError, match="too new for this program"):
        ensure_running()
    assert Path(f"/proc/{new}").exists()


@pytest.mark.usefixtures("data_folder")
def test_the_server_goes_on_when_the_folder_it_was_started_from_is_gone(tmp_path: Path) -> None:
    clone = copy_of_package(tmp_path / "clone")
    pid = start_from(clone)
    shutil.rmtree(clone)
    server = ensure_running()
    assert server.health.pid == pid
    log_a_run(server)


def log_a_run(server: Server) -> None:
    code = (
        "import wandb\n"
        "with wandb.init(project='service') as run:\n"
        "    run.log({'loss': 1.0})\n"
        "    artifact = wandb.Artifact('numbers', 'table')\n"
        "    with artifact.new_file('numbers.txt') as file:\n"
        "        file.write('1 2 3')\n"
        "    run.log_artifact(artifact).wait()\n"
        "assert wandb.Api().run(run.path).summary['loss'] == 1.0\n"
    )
    environment = os.environ | server.environment() | {"WANDB_SILENT": "true"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=50)


def test_importing_the_package_loads_no_web_stack() -> None:
    code = (
        "import sys, wandb_server\n"
        "heavy = {'starlette', 'uvicorn', 'graphql', 'sqlite3', 'asyncio', 'http.client'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert start_python(code).communicate(timeout=20) == ("[]\n", "")


def test_a_folder_with_other_things_is_refused_and_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o755)
    (folder / "letter.txt").touch()
    monkeypatch.setenv("WANDB_SERVER_DIR", str(folder))

    with pytest.raises(ServerError, match=r"other things than a server's data.*WANDB_SERVER_DIR"):
        ensure_running()

    assert folder.stat().st_mode & 0o777 == 0o755
    assert [entry.name for entry in folder.iterdir()] == ["letter.txt"]


def test_a_database_that_was_copied_alone_is_refused_with_how_to_copy(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "by hand"
    folder.mkdir()
    shutil.copy(server.data_dir / paths.DATABASE, folder)
    monkeypatch.setenv("WANDB_SERVER_DIR", str(folder))

    with pytest.raises(ServerError, match=r"holds wandb.sqlite3 but no key.*backup.*restore"):
        ensure_running()

    assert [entry.name for entry in folder.iterdir()] == [paths.DATABASE]
    monkeypatch.setenv("WANDB_SERVER_DIR", str(server.data_dir))  # whose server is stopped


def test_a_folder_where_the_key_is_just_being_written_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    (folder / f".{paths.KEY}.0123").touch(mode=0o600)
    monkeypatch.setenv("WANDB_SERVER_DIR", str(folder))

    assert ensure_running().data_dir == folder
    assert service.stop()


def test_answers_leave_at_once_rather_than_wait_for_an_acknowledgement() -> None:
    async def is_sent_at_once() -> bool:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def take(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            link = writer.get_extra_info("socket")
            found.set_result(link.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = process.bind(0)
        async with await asyncio.start_server(take, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            writer.close()
            return bool(await found)

    assert asyncio.run(is_sent_at_once())


def test_of_two_servers_that_start_at_once_only_one_gets_the_port() -> None:
    with process.bind(0) as first, pytest.raises(OSError, match="in use"):
        process.bind(first.getsockname()[1])
