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
from collections.abc import Callable, Iterator
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

PAGE = (ROOT / "docs/your-own-data.md").read_text()
COMMAND = next(
    block for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) if "r2" in block
)
HOUSES = shlex.split(COMMAND.replace("\\\n", " "))[2:]
TREES = "random_forest_pipeline.random_forest.n_estimators"


Start = Callable[..., "subprocess.Popen[str]"]


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
    """Promises a table and never sends it."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.rfile.read()  # until the client has gone

    def log_message(self, *_: Any) -> None:
        """Keep the test's output quiet."""


@pytest.fixture(scope="module")
def slow() -> Iterator[list[str]]:
    """Overrides of a pipeline whose step takes longer than anybody waits."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Stalling) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        url = f"dataset.url=http://127.0.0.1:{server.server_port}/houses.csv"
        yield [*HOUSES, "main.execute_steps=download", url]
        server.shutdown()


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
    sender: str, start_main: Start, clone: Path, api: wandb.Api
) -> None:
    group = f"sweep interrupted by a {sender}"
    workers = ("-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    train = [*HOUSES, "main.execute_steps=train_random_forest"]
    process = start_main(group, *workers, *train, f"{TREES}=5,20000,20001")
    wait_for_runs(api, "local/houses", {"group": group}, count=3)

    if sender == "terminal":  # which signals all of a group
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.terminate()
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "The sweep was stopped, and this trial with it." in errors
    assert "Stopped" in errors
    api.flush()
    runs = list(api.runs("local/houses", {"group": group}))
    assert sorted(found.state for found in runs) == ["failed", "failed", "finished"]
    (finished,) = [found for found in runs if found.state == "finished"]
    assert finished.config["random_forest"]["n_estimators"] == 5
    client, _ = open_store(clone)
    for found in runs:
        twin = client.get_run(found.id)
        parent = client.get_run(twin.data.tags["mlflow.parentRunId"])
        assert twin.info.status == parent.info.status == found.state.upper()

    # The same again, with forests that grow fast where the slow ones were cut down.
    said, errors = start_main(group, *workers, *train, f"{TREES}=5,6,7").communicate(timeout=120)

    assert f"Sweep {group}: 3 trials" in said, said + errors
    assert f"train_random_forest reused from {finished.id}" in said
    assert said.count("train_random_forest reused from") == 1


@pytest.mark.usefixtures("houses")
def test_a_killed_pipeline_takes_its_step_along_which_ends_its_run_as_failed(
    start_main: Start, slow: list[str], clone: Path, api: wandb.Api
) -> None:
    process = start_main("kill -9", *slow)
    found = wait_for_step(api, "kill -9")

    process.kill()
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
def test_ctrl_c_in_a_terminal_stops_all_of_mlflow_run(
    slow: list[str], clone: Path, api: wandb.Api
) -> None:
    options = shlex.join(["main.experiment_name=ctrl-c", *slow])
    command = ["mlflow", "run", ".", "--env-manager", "uv", "-P", f"hydra_options={options}"]
    variables = environment()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(clone)
        os.execvpe(command[0], command, variables)  # noqa: S606  # in the terminal that was forked
    found = wait_for_step(api, "ctrl-c")
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
def test_a_step_killed_from_outside_is_told_as_killed(
    start_main: Start, slow: list[str], clone: Path, api: wandb.Api
) -> None:
    process = start_main("killed", *slow)
    found = wait_for_step(api, "killed")
    for number, command in processes_below(clone / "download").items():
        if "python" in command.split()[0] and "run.py" in command:
            os.kill(number, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "The step 'download' failed (killed by signal 9)" in errors
    client, _ = open_store(clone)
    assert client.get_run(found.id).info.status == "FAILED"
    assert api.artifact("houses/model_export:prod").version == "v0"
