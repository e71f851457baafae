"""The command line of the local server, as people and shells use it."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import wandb

from wandb_server import Server, locks, paths
from wandb_server.__main__ import build_parser

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "wandb_server"]
RUN_WITH_ARTIFACT = """
import wandb
with wandb.init(project="from a shell") as run:
    artifact = wandb.Artifact("numbers", "table")
    with artifact.new_file("numbers.txt") as file:
        file.write("1 2 3")
    run.log_artifact(artifact).wait()
print(open(wandb.Api().artifact("from a shell/numbers:v0").file()).read())
"""


@pytest.fixture
def server(module_server: Server) -> Server:
    """One server for all tests that only look at it."""
    return module_server


def call(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], cwd=ROOT, capture_output=True, text=True, timeout=50, check=False
    )


def test_status_says_that_nothing_runs_and_exits_with_3(data_folder: Path) -> None:
    done = call("status")
    assert done.returncode == 3
    assert "not running" in done.stdout
    assert str(data_folder) in done.stdout
    assert not (data_folder / paths.SERVER_LOCK).exists()


def test_status_shows_address_process_and_sizes_of_a_running_server(server: Server) -> None:
    done = call("status")
    assert done.returncode == 0
    for shown in (server.base_url, str(server.health.pid), str(server.data_dir), "running since"):
        assert shown in done.stdout
    assert re.search(r"wandb\.sqlite3 +\d+\.\d kB", done.stdout)
    assert server.api_key not in done.stdout


@pytest.mark.usefixtures("data_folder")
def test_a_command_whose_output_nobody_reads_ends_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as unread:
        done = subprocess.run(
            [*COMMAND, "status"],
            cwd=ROOT,
            stdout=unread,
            stderr=subprocess.PIPE,
            timeout=50,
            check=False,
        )
    assert (done.returncode, done.stderr) == (141, b"")


def test_start_and_stop_can_be_repeated(data_folder: Path) -> None:
    first, again = call("start"), call("start")
    assert (first.returncode, again.returncode) == (0, 0)
    assert first.stdout == again.stdout
    assert call("stop").stdout == "Stopped.\n"
    assert not locks.is_taken(data_folder / paths.SERVER_LOCK)
    done = call("stop")
    assert (done.returncode, done.stdout) == (0, "No server runs.\n")


def test_the_lines_of_env_make_the_real_sdk_work(data_folder: Path) -> None:
    script = 'set -e; eval "$("$0" -m wandb_server env)"; cd /; "$0" -c "$1"'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable, RUN_WITH_ARTIFACT],
        cwd=ROOT,
        env=os.environ | {"WANDB_SILENT": "true"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("1 2 3\n")
    assert (data_folder / "blobs").is_dir()


def test_env_speaks_fish_too(server: Server) -> None:
    lines = call("env", "--shell", "fish").stdout.splitlines()
    assert f"set -gx WANDB_BASE_URL {server.base_url}" in lines
    assert f"set -gx WANDB_API_KEY {server.api_key}" in lines


def test_env_keeps_the_sdk_from_asking_a_proxy_for_this_machine(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "intranet.example")
    assert server.environment()["no_proxy"] == "intranet.example,127.0.0.1"


def test_env_has_the_sdk_send_often_and_keep_the_code_unless_told_otherwise(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = wandb.Settings()
    settings.update_from_env_vars(server.environment())
    assert (settings.x_file_stream_transmit_interval, settings.save_code) == (3, True)

    monkeypatch.setenv("WANDB_X_FILE_STREAM_TRANSMIT_INTERVAL", "60")
    monkeypatch.setenv("WANDB_SAVE_CODE", "false")
    assert not server.environment().keys() & {
        "WANDB_X_FILE_STREAM_TRANSMIT_INTERVAL",
        "WANDB_SAVE_CODE",
    }


def test_env_names_who_uses_it_unless_told_otherwise(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "grace")
    assert server.environment()["WANDB_USERNAME"] == "grace"

    monkeypatch.setenv("WANDB_USERNAME", "ada")
    assert "WANDB_USERNAME" not in server.environment()


def test_serve_says_where_it_serves_and_ends_cleanly_on_ctrl_c(data_folder: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "serve"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stderr
    announced = process.stdout.readline()
    assert f"Serving {data_folder} at http://127.0.0.1:" in announced
    assert requests.get(announced.split()[-1] + "/healthz", timeout=5).ok
    process.send_signal(signal.SIGINT)
    with process.stdout, process.stderr:
        assert process.stdout.read() == "Ctrl-C ends it.\n\nStopped.\n"
        assert process.stderr.read() == ""
    assert process.wait(timeout=20) == 0


def test_serve_refuses_a_folder_that_is_served_already(server: Server) -> None:
    done = call("serve")
    assert done.returncode == 1
    assert done.stderr.startswith("wandb_server: a server runs already for the data folder")
    assert str(server.data_dir) in done.stderr


@pytest.mark.usefixtures("data_folder")
@pytest.mark.parametrize("command", ["serve", "start"])
def test_a_taken_port_is_refused_by_name(command: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = call(command, "--port", str(port))
    assert done.returncode == 1
    assert done.stderr == (
        f"wandb_server: port {port} can't be used: Address already in use. "
        "Choose another by --port, or leave --port out to take a free one.\n"
    )


def test_a_running_server_is_not_moved_to_another_port_in_silence(server: Server) -> None:
    done = call("start", "--port", "1")
    assert done.returncode == 1
    assert server.base_url in done.stdout
    assert "stop it first: python -m wandb_server stop" in done.stderr


def test_open_prints_a_link_that_signs_in(server: Server) -> None:
    link = call("open", "--print", "/local/songs").stdout.strip()
    assert link.startswith(f"{server.base_url}/signin?token=")
    assert link.endswith("&next=%2Flocal%2Fsongs")


@pytest.mark.parametrize("command", ["serve", "start", "status", "env", "open"])
def test_a_data_folder_that_cannot_be_used_is_told_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("WANDB_SERVER_DIR", str(tmp_path / "file"))
    done = call(command)
    assert done.returncode == 1
    assert done.stderr.startswith(f"wandb_server: can't use the data folder {tmp_path / 'file'}")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["start", "--port", "70000"], "'70000' is no port: give a number from 1 to 65535"),
        (["start", "--idle-hours", "0"], "'0': give hours without a request"),
        (["launch"], "invalid choice: 'launch'"),
        ([], "required: <command>"),
    ],
)
def test_words_that_make_no_sense_are_refused(words: list[str], complaint: str) -> None:
    done = call(*words)
    assert done.returncode == 2
    assert complaint in done.stderr


@pytest.mark.parametrize("page", ["docs/local-server.md", "wandb_server/README.md"])
def test_the_commands_in_the_docs_are_ones_that_there_are(page: str) -> None:
    found = re.findall(r"python -m wandb_server ([^`#)\n]+)", (ROOT / page).read_text())
    assert found
    for words in found:
        assert build_parser().parse_args(words.split()).run


def test_help_names_every_command_and_the_folder_variable() -> None:
    text = call("--help").stdout
    commands = ("serve", "start", "stop", "status", "env", "open")
    upkeep = ("check", "gc", "backup", "restore", "rotate-key")
    for word in (*commands, *upkeep, "WANDB_SERVER_DIR"):
        assert word in text
