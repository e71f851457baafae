"""Sweeps by the unmodified SDK: its agents in a process, its command line, its public API."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from tests.server.conftest import LiveServer, sdk_environment
from tests.warm import WarmPython

pytestmark = pytest.mark.filterwarnings("ignore")

# The command as it is, but for its agents' five seconds between two reports.
WANDB = """
from wandb import wandb_agent
from wandb.cli.cli import cli

wandb_agent.Agent.POLL_INTERVAL = 0.2
cli(prog_name="wandb")
"""
TRAIN = """
import pathlib, sys, time
import wandb

with wandb.init() as run:
    run.log({"loss": run.config["a"]})
    pathlib.Path(f"started-{run.id}").write_text(" ".join(sys.argv[1:]))
    if run.config["a"] > 10:
        time.sleep(60)
"""


@pytest.fixture
def quick_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    from wandb.agents import pyagent

    monkeypatch.setattr(pyagent.Agent, "HEARTBEAT_SLEEP_SECONDS", 0.05)


@pytest.mark.usefixtures("quick_agents")
def test_an_agent_of_the_sdk_runs_a_grid(wandb: ModuleType, project: str) -> None:
    seen = []

    def train() -> None:
        with wandb.init() as run:
            seen.append((run.config["a"], run.config["b"]["c"]))
            run.log({"loss": 3 - run.config["b"]["c"]})

    config = {
        "method": "grid",
        "name": "three",
        "metric": {"name": "loss", "goal": "minimize"},
        "parameters": {
            "a": {"values": [1]},
            "b": {"parameters": {"c": {"min": 0, "max": 2}}},
        },
    }
    sweep_id = wandb.sweep(config, project=project)
    sweep = wandb.Api().sweep(f"{project}/{sweep_id}")
    assert (sweep.name, sweep.state, sweep.expected_run_count) == ("three", "PENDING", 3)
    wandb.agent(sweep_id, train, project=project, count=3)
    assert seen == [(1, 0), (1, 1), (1, 2)]
    sweep = wandb.Api().sweep(f"{project}/{sweep_id}")
    assert (sweep.state, len(sweep.runs), sweep.order) == ("FINISHED", 3, "+summary_metrics.loss")
    assert [run.config["b"]["c"] for run in sweep.runs] == [0, 1, 2]
    best = sweep.best_run()
    assert (best.summary["loss"], best.config["b"], best.sweep.id) == (1, {"c": 2}, sweep_id)
    (agent,) = sweep.agents()
    assert len(list(agent.runs(per_page=2))) == 3
    other = wandb.sweep({**config, "name": "other"}, project=project)
    project_ = wandb.Api().project(project)
    assert [found.id for found in project_.sweeps()] == [other, sweep_id]
    assert [found.id for found in project_.sweeps(filters={"state": "PENDING"})] == [other]


@pytest.mark.usefixtures("quick_agents")
def test_a_run_that_lags_is_stopped_while_it_trains(wandb: ModuleType, project: str) -> None:
    ended = []

    def train() -> None:
        settings = wandb.Settings(x_file_stream_transmit_interval=1)
        with wandb.init(settings=settings) as run:
            loss = run.config["loss"]
            for _ in range(2):
                run.log({"loss": loss})
            deadline = time.monotonic() + (60 if loss > 1 else 0)
            while time.monotonic() < deadline:
                time.sleep(0.05)
            ended.append(loss)

    config = {
        "method": "grid",
        "metric": {"name": "loss", "goal": "minimize"},
        "early_terminate": {"type": "hyperband", "min_iter": 2},
        "parameters": {"loss": {"values": [1, 5]}},
    }
    sweep_id = wandb.sweep(config, project=project)
    wandb.agent(sweep_id, train, project=project, count=2)
    assert ended == [1]
    states = [run.state for run in wandb.Api().sweep(f"{project}/{sweep_id}").runs]
    assert states == ["finished", "killed"]


@pytest.mark.usefixtures("quick_agents")
def test_a_preempted_run_is_given_out_again_and_goes_on(wandb: ModuleType, project: str) -> None:
    seen = []

    def train() -> None:
        with wandb.init(resume="allow") as run:
            seen.append((run.config["a"], run.resumed))
            run.log({"loss": len(seen)})
            if len(seen) == 1:
                run.mark_preempting()
                raise RuntimeError("the machine is taken away")

    config = {"method": "grid", "parameters": {"a": {"values": [1, 2]}}}
    sweep_id = wandb.sweep(config, project=project)
    wandb.agent(sweep_id, train, project=project, count=3)
    assert seen == [(1, False), (1, True), (2, False)]
    sweep = wandb.Api().sweep(f"{project}/{sweep_id}")
    assert [run.state for run in sweep.runs] == ["finished", "finished"]
    assert [row["loss"] for row in sweep.runs[0].scan_history()] == [1, 2]


def test_a_config_that_makes_no_sense_is_refused_with_the_reason(
    wandb: ModuleType, project: str
) -> None:
    config = {"method": "bayes", "parameters": {"x": {"values": [1, 2]}}}
    with pytest.raises(Exception, match="method: bayes needs a metric"):
        wandb.sweep(config, project=project)


class Commands:
    """The wandb command in a folder of its own, in the foreground and in the background."""

    def __init__(self, folder: Path, environment: dict[str, str], python: WarmPython) -> None:
        self.folder, self._environment, self._python = folder, environment, python
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", WANDB, *arguments],
            env=self._environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def run(self, *arguments: str) -> str:
        done = self._python.run(
            *("-c", WANDB, *arguments),
            cwd=self.folder,
            env=self._environment,
            libraries=("wandb", "wandb.cli.cli"),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def end(self, process: "subprocess.Popen[str]") -> str:
        output, _ = process.communicate(timeout=90)
        assert process.returncode == 0, output
        return output

    def wait_for_run(self, count: int) -> None:
        deadline = time.monotonic() + 60
        while len(list(self.folder.glob("started-*"))) < count:
            assert time.monotonic() < deadline, "no run started"
            time.sleep(0.1)

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()


@pytest.fixture
def commands(live: LiveServer, python: WarmPython, tmp_path: Path) -> Iterator[Commands]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    environment = inherited | sdk_environment(live.base_url, tmp_path)
    del environment["WANDB_SILENT"]
    (tmp_path / "train.py").write_text(TRAIN)
    # The agent's command asks for a program named python.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    found = Commands(tmp_path, environment, python)
    yield found
    found.close()


def _make(commands: Commands, project: str, values: list[int]) -> str:
    config = {
        "method": "grid",
        "program": "train.py",
        "metric": {"name": "loss"},
        "parameters": {"a": {"values": values}, "note": {"value": "two words"}},
        "command": ["${env}", "${interpreter}", "${program}", "${args_no_hyphens}"],
    }
    (commands.folder / "sweep.yaml").write_text(yaml.dump(config))
    output = commands.run("sweep", "--project", project, "sweep.yaml")
    return output.rpartition("wandb agent ")[2].split()[0]


def test_two_agents_of_the_command_line_share_a_sweep(
    wandb: ModuleType, commands: Commands, project: str
) -> None:
    path = _make(commands, project, [1, 2])
    agents = [commands.start("agent", path, "--count", "1") for _ in range(2)]
    for agent in agents:
        commands.end(agent)
    sweep = wandb.Api().sweep(path)
    assert (sweep.state, sorted(run.config["a"] for run in sweep.runs)) == ("FINISHED", [1, 2])
    assert {run.state for run in sweep.runs} == {"finished"}
    texts = sorted(found.read_text() for found in commands.folder.glob("started-*"))
    assert texts == ["a=1 note=two words", "a=2 note=two words"]


def test_a_sweep_is_paused_resumed_and_cancelled_from_the_command_line(
    wandb: ModuleType, live: LiveServer, commands: Commands, project: str
) -> None:
    path = _make(commands, project, [11, 12])
    agent = commands.start("agent", path)
    commands.wait_for_run(1)
    query = """query ($p: String, $s: String) {
        project(name: $p) { sweep(sweepName: $s) { state } }
    }"""
    for option, expected in (("pause", "PAUSED"), ("resume", "RUNNING"), ("cancel", "CANCELED")):
        commands.run("sweep", f"--{option}", path)
        found = live.data(query, p=project, s=path.rpartition("/")[2])
        assert found["project"]["sweep"] == {"state": expected}
    commands.end(agent)
    assert [run.state for run in wandb.Api().sweep(path).runs] == ["killed"]


def test_a_sweep_is_stopped_from_the_command_line(
    wandb: ModuleType, commands: Commands, project: str
) -> None:
    config = {"method": "random", "parameters": {"a": {"min": 0.0, "max": 1.0}}}
    path = f"local/{project}/{wandb.sweep(config, project=project)}"
    commands.run("sweep", "--stop", path)
    assert wandb.Api().sweep(path).state == "FINISHED"
