"""What is interrupted or killed ends, and all runs of it as failed.

The pipeline is one for a table of one's own, as the docs show it.
"""

import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

import pytest
import wandb

from tests.end_to_end.commands import (
    ROOT,
    environment,
    open_store,
    processes_below,
    run,
    wait_for_runs,
)
from tests.end_to_end.conftest import Start

PAGE = (ROOT / "docs/your-own-data.md").read_text()
COMMAND = next(
    block for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) if "r2" in block
)
HOUSES = shlex.split(COMMAND.replace("\\\n", " "))[2:]


@pytest.fixture(scope="module")
def houses(clone: Path) -> "subprocess.CompletedProcess[str]":
    """The docs' settings and command, for a table that was made up."""
    table = clone / "houses.csv"
    settings = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0]
    (clone / "dataset/houses.yaml").write_text(settings.replace("/data/houses.csv", str(table)))
    random = Random(0)
    lines = ["price,area,rooms,heating,description"]
    for _ in range(200):
        area = random.uniform(30, 300)
        words = random.choice(["near the sea", "with a garden", ""])
        price = 1000 * area + random.gauss(0, 1000) + 50_000 * ("sea" in words)
        heating = random.choice(["gas", "oil", "none"])
        lines.append(f"{price:.2f},{area:.1f},{random.randint(1, 8)},{heating},{words}")
    table.write_text("\n".join(lines))
    programs = shlex.quote(str(Path(sys.executable).parent))
    return run(["bash", "-ec", f"PATH={programs}:$PATH\n{COMMAND}"], clone)


def test_a_table_of_one_s_own_needs_one_yaml_as_the_docs_show_it(
    houses: "subprocess.CompletedProcess[str]", api: wandb.Api
) -> None:
    assert houses.returncode == 0, houses.stdout + houses.stderr
    model = api.artifact("houses/model_export:prod")
    assert model.metadata["task"] == "regression"
    assert model.metadata["metrics"]["val/r2"] > 0.8


class Stalling(BaseHTTPRequestHandler):
    """Promises a table, and sends what there is of it."""

    table: bytes | None = None

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.table or b"...")))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        if self.table:
            self.wfile.write(self.table)
        else:
            self.rfile.read()  # until the client has gone

    def log_message(self, *_: Any) -> None:
        """Keep the test's output quiet."""


@pytest.fixture(scope="module")
def stalling() -> Iterator[str]:
    """The address of a server of which nobody gets a table, as long as it has none."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Stalling) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def slow(stalling: str) -> list[str]:
    """Overrides of a pipeline whose step takes longer than anybody waits."""
    return [*HOUSES, "main.execute_steps=download", f"dataset.url={stalling}/houses.csv"]


def wait_for_step(api: wandb.Api, group: str) -> Any:
    return wait_for_runs(api, "local/houses", {"group": group})[0]


@pytest.mark.usefixtures("houses")
@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.exhaustive)]
)
def test_an_interrupted_pipeline_ends_its_step_and_both_runs_as_failed(
    number: signal.Signals, start_main: Start, slow: list[str], clone: Path, api: wandb.Api
) -> None:
    group = f"interrupted-{number.name}"
    process = start_main(group, *slow)
    found = wait_for_step(api, group)

    process.send_signal(number)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "Stopped" in errors
    api.flush()
    assert api.run(f"local/houses/{found.id}").state == "failed"
    client, _ = open_store(clone)
    twin = client.get_run(found.id)
    assert twin.info.status == "FAILED"
    assert client.get_run(twin.data.tags["mlflow.parentRunId"]).info.status == "FAILED"
    assert not list(found.logged_artifacts())


@pytest.mark.usefixtures("houses")
@pytest.mark.parametrize(
    "sender", ["terminal", pytest.param("program", marks=pytest.mark.exhaustive)]
)
def test_an_interrupted_sweep_ends_its_runs_as_failed_and_goes_on_without_what_had_finished(
    sender: str,
    start_main: Start,
    slow: list[str],
    stalling: str,
    clone: Path,
    api: wandb.Api,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group, table = f"sweep interrupted by a {sender}", clone / f"{sender}.csv"
    # Equal content would be reused.
    table.write_text(f"{(clone / 'houses.csv').read_text()}\n250000,100,3,gas,{sender}")
    urls = f"dataset.url={table},{stalling}/{sender}/1.csv,{stalling}/{sender}/2.csv"
    workers = ("-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "sweep.evaluate=none")
    sweep = (group, *workers, *slow[:-1], urls)
    process = start_main(*sweep)
    wait_for_runs(api, "local/houses", {"group": group}, count=3)

    if sender == "terminal":  # which signals all of a group
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "Stopped. What was running is marked as failed." in errors
    assert "Traceback" not in errors
    assert "Error executing job" not in errors  # Hydra's words
    api.flush()
    runs = list(api.runs("local/houses", {"group": group}))
    assert sorted(found.state for found in runs) == ["failed", "failed", "finished"]
    (finished,) = [found for found in runs if found.state == "finished"]
    assert finished.config["url"] == str(table)
    client, _ = open_store(clone)
    for found in runs:
        twin = client.get_run(found.id)
        parent = client.get_run(twin.data.tags["mlflow.parentRunId"])
        assert twin.info.status == parent.info.status == found.state.upper()

    # The same again, now that the tables come.
    monkeypatch.setattr(Stalling, "table", table.read_bytes())
    process = start_main(*sweep)
    said, errors = process.communicate(timeout=120)

    assert process.returncode == 0, said + errors
    assert f"Sweep {group}: 3 trials" in said, said + errors
    assert f"download reused from {finished.id}" in said
    assert said.count("download reused from") == 1


@pytest.mark.usefixtures("houses")
def test_a_killed_pipeline_takes_its_step_along_which_ends_its_run_as_failed(
    start_main: Start, slow: list[str], clone: Path, api: wandb.Api
) -> None:
    process = start_main("kill -9", *slow)
    found = wait_for_step(api, "kill -9")

    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)

    deadline = time.monotonic() + 60
    while processes_below(clone):
        assert time.monotonic() < deadline, processes_below(clone)
        time.sleep(0.05)
    api.flush()
    assert api.run(f"local/houses/{found.id}").state == "failed"


def read_to_the_end(terminal: int) -> str:
    """Return what is printed to a terminal until its other end is closed."""
    deadline, seen = time.monotonic() + 120, b""
    while True:
        assert select.select([terminal], [], [], deadline - time.monotonic())[0], seen.decode()
        try:
            seen += os.read(terminal, 4096)
        except OSError:  # the other end was closed
            return seen.decode()


@pytest.mark.usefixtures("houses")
def test_ctrl_c_in_a_terminal_stops_all_of_mlflow_run_which_has_handed_over_all_options(
    slow: list[str], clone: Path, api: wandb.Api
) -> None:
    group = 'a name [with] odd* "characters"'
    # MLflow stores 6,000 characters of a parameter; all of them must arrive.
    options = shlex.join(["main.random_seed=42"] * 400 + [f"main.experiment_name={group}", *slow])
    command = ["mlflow", "run", ".", "--env-manager", "uv", "-P", f"hydra_options={options}"]
    variables = environment()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(clone)
        os.execvpe(command[0], command, variables)  # noqa: S606  # in the terminal that was forked
    found = wait_for_step(api, group)
    os.write(terminal, b"\x03")
    seen = read_to_the_end(terminal)
    _, status = os.waitpid(pid, 0)

    assert os.waitstatus_to_exitcode(status) != 0
    assert "Stopped. What was running is marked as failed." in seen
    assert api.run(f"local/houses/{found.id}").state == "failed"
    client, _ = open_store(clone)
    assert client.get_run(found.id).info.status == "FAILED"
    assert processes_below(clone) == {}


@pytest.mark.usefixtures("houses")
def test_a_step_killed_from_outside_is_told_as_killed_and_leaves_no_temporary_files(
    start_main: Start,
    slow: list[str],
    clone: Path,
    api: wandb.Api,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process = start_main("killed", *slow)
    found = wait_for_step(api, "killed")
    for number, command in processes_below(clone / "download").items():
        if Path(command.split()[0]).name == "python":  # and none of its helpers
            os.kill(number, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "The step 'download' failed (killed by signal 9)" in errors
    client, _ = open_store(clone)
    assert client.get_run(found.id).info.status == "FAILED"
    assert list(tmp_path.iterdir()) == []
    assert api.artifact("houses/model_export:prod").version == "v0"
