"""Sweeps: by Hydra's trials, by a search, by an agent of W&B."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import wandb

from tests.end_to_end.commands import open_store, run, wait_for_runs
from tests.end_to_end.conftest import SWEEP, Main, Start
from tests.pipeline.test_locks import wait_until
from wandb_server import Server

DEPTH = "random_forest_pipeline.random_forest.max_depth"
# A step that trains, but for its forest: the deeper it is, the better. It notes the depths, and the
# second time that it runs it doesn't end by itself.
LIGHT = """
import argparse, signal
from pathlib import Path
import wandb, yaml

parser = argparse.ArgumentParser()
for name in ("train_artifact", "export_artifact", "model_config"):
    parser.add_argument(f"--{name}")
given, _ = parser.parse_known_args()
depth = yaml.safe_load(Path(given.model_config).read_text())["random_forest"]["max_depth"]
with wandb.init(job_type="train_random_forest", config={"max_depth": depth}) as run:
    run.use_artifact(given.train_artifact)
    with Path(NOTES).open("a") as notes:
        print(depth, file=notes)
    if len(Path(NOTES).read_text().split()) == 2:
        signal.pause()
    model = wandb.Artifact(given.export_artifact, type="model")
    with model.new_file("depth") as file:
        print(depth, file=file)
    version = run.log_artifact(model).wait().version
    run.summary.update({"val/roc_auc_ovo": depth / 10, "output/model_export": version})
"""


@dataclass(frozen=True)
class Agent:
    """An agent of W&B that ran one trial of sweep.yaml, as it ships.

    Attributes:
        path: Of the sweep.
        result: The agent's process.
    """

    path: str
    result: "subprocess.CompletedProcess[str]"


@pytest.fixture(scope="module")
def agent(clone: Path, server: Server) -> Agent:
    """Its trial makes the data, from which the other sweeps' trials learn."""
    variables = server.environment() | {
        # The agent's command asks for a program named python.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    }
    made_sweep = run(["wandb", "sweep", "sweep.yaml"], clone, **variables)
    path = made_sweep.stderr.rpartition("wandb agent ")[2].split()[0]
    return Agent(path, run(["wandb", "agent", "--count", "1", path], clone, **variables))


def test_an_agent_of_w_and_b_runs_a_trial_of_sweep_yaml(agent: Agent, api: wandb.Api) -> None:
    assert agent.result.returncode == 0, agent.result.stdout + agent.result.stderr
    sweep = api.sweep(agent.path)
    (trial,) = sweep.runs
    assert (trial.state, trial.job_type, trial.group) == ("finished", "pipeline", "sweep")
    assert sweep.best_run().id == trial.id
    (step,) = api.runs("local/songs", {"group": "sweep", "jobType": "train_random_forest"})
    depth = trial.config["random_forest_pipeline.random_forest.max_depth"]
    assert step.config["random_forest"]["max_depth"] == depth
    assert step.summary["val/roc_auc_ovo"] == trial.summary["val/roc_auc_ovo"]


@pytest.fixture(scope="module")
def trials(clone: Path, agent: Agent) -> "subprocess.CompletedProcess[str]":
    """The README's sweep, two trials at a time, with a third one, which is begun first and fails.

    It has a name of its own, takes the data as they are, leaves production alone, and grows small
    forests.
    """
    assert agent.result.returncode == 0
    command = SWEEP.replace(f"{DEPTH}=5,8", f"{DEPTH}=-1,5,8")
    assert command != SWEEP
    more = "main.experiment_name=depths/1 main.execute_steps=train_random_forest,evaluate"
    more += " evaluate.promote=never random_forest_pipeline.random_forest.n_estimators=5"
    programs = shlex.quote(str(Path(sys.executable).parent))
    return run(["bash", "-ec", f"PATH={programs}:$PATH\n{command} {more}"], clone)


@pytest.mark.usefixtures("trials")
def test_trials_of_a_sweep_each_train_their_own_model_and_the_best_one_alone_is_evaluated(
    api: wandb.Api,
) -> None:
    api.flush()
    runs = list(api.runs("local/songs", {"group": "depths/1"}))
    trained = {
        found.config["random_forest"]["max_depth"]: found
        for found in runs
        if found.job_type == "train_random_forest"
    }
    scores = {depth: trained[depth].summary["val/roc_auc_ovo"] for depth in (5, 8)}
    best = trained[max(scores, key=lambda depth: scores[depth])]
    model = f"model_export:{best.summary['output/model_export']}"
    (evaluated,) = [found for found in runs if found.job_type == "evaluate"]

    assert {depth: found.state for depth, found in trained.items()} == {
        -1: "failed",
        5: "finished",
        8: "finished",
    }
    assert len({trained[depth].summary["output/model_export"] for depth in (5, 8)}) == 2
    assert evaluated.config["model_artifact"] == model
    assert evaluated.config["test_artifact"] == "test_data.parquet:v0"
    tagged = api.artifact("songs/model_export:best-depths%2F1")
    assert f"model_export:{tagged.version}" == model
    models = api.artifacts("model", "songs/model_export")
    assert not any("prod" in found.aliases for found in models)
    # Two trials at a time share the cores.
    cores = len(os.sched_getaffinity(0))
    assert best.config["random_forest"]["n_jobs"] == max(1, cores // 2)


def test_a_sweep_tells_of_its_trials_the_best_first_and_why_one_failed(
    trials: "subprocess.CompletedProcess[str]", api: wandb.Api
) -> None:
    assert trials.returncode == 1
    assert f"Trial 0 failed ({DEPTH}=-1): The step 'train_random_forest' failed" in trials.stdout
    assert "wandb:" not in trials.stdout + trials.stderr  # the SDK's own words
    table = trials.stdout[trials.stdout.index("Sweep depths/1: 3 trials, 1 failed;") :]
    listed = re.findall(r"^(\d) +(-?\d) +(\S+)( ± 0\.\d+)? .* (\w+)$", table, re.MULTILINE)
    assert [(row[1], row[4]) for row in listed[2:]] == [("-1", "failed")]
    assert float(listed[0][2]) > float(listed[1][2])
    assert all(row[3] for row in listed[:2])
    assert "Trial 0 failed: train_random_forest: scikit-learn can't fit the model" in table
    assert "Traceback" not in trials.stderr
    (told,) = api.runs("local/songs", {"group": "depths/1", "jobType": "sweep"})
    assert (told.state, told.name, told.summary["best/max_depth"]) == (
        "finished",
        "depths/1",
        int(listed[0][1]),
    )
    media = {key: told.summary[key]["_type"] for key in ("trials", "sweep")}
    assert media == {"trials": "table-file", "sweep": "html-file"}
    assert told.summary["parallel_coordinates"]["_type"] == "image-file"


def test_mlflow_keeps_the_trials_and_the_evaluation_below_one_run(
    trials: "subprocess.CompletedProcess[str]", clone: Path
) -> None:
    assert "depths/1" in trials.stdout
    client, experiments = open_store(clone)
    (parent,) = client.search_runs(experiments, "attributes.run_name = 'depths/1 (sweep)'")
    below = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"

    children = client.search_runs(experiments, below)

    assert sorted(child.info.status for child in children) == ["FAILED"] + ["FINISHED"] * 3
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} >= {"sweep.html"}


@pytest.mark.usefixtures("trials")
@pytest.mark.exhaustive
def test_a_search_takes_over_trials_that_have_ended_and_goes_by_their_scores(
    main: Main, clone: Path, api: wandb.Api
) -> None:
    result = main(
        clone,
        "-m",
        "hydra/sweeper=optuna",
        "hydra.sweeper.n_trials=3",
        "hydra.sweeper.direction=minimize",
        "main.execute_steps=train_random_forest",
        "main.experiment_name=search",
        "random_forest_pipeline.random_forest.n_estimators=5",
        f"{DEPTH}=5,8",
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert "Fitting" not in result.stderr + result.stdout
    assert "the lowest first" in result.stdout
    found = re.findall(r"^Trial \d: (0\.\d{6})", result.stdout, re.MULTILINE)
    models = api.artifact("songs/model_export:best-search").metadata
    assert len(found) == 3
    assert f"{models['metrics']['val/roc_auc_ovo']:.6f}" == min(found)
    api.flush()
    runs = api.runs("local/songs", {"group": "search"})
    assert {found.job_type for found in runs} == {"sweep"}


@pytest.fixture
def light(clone: Path, tmp_path: Path) -> Iterator[Path]:
    """Where the clone's step that trains notes the depths while it is a light one."""
    program, notes = clone / "train_random_forest" / "run.py", tmp_path / "depths"
    usual = program.read_text()
    program.write_text(f"NOTES = {str(notes)!r}\n{LIGHT}")
    yield notes
    program.write_text(usual)


@pytest.mark.usefixtures("agent")
def test_an_interrupted_search_goes_on_with_the_scores_of_trials_that_had_finished(
    light: Path, start_main: Start, api: wandb.Api
) -> None:
    search = (
        *("interrupted", "-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=2"),
        *("main.execute_steps=train_random_forest", "main.preload=false", f"{DEPTH}=range(1,9)"),
    )
    process = start_main(*search)
    wait_for_runs(api, "local/songs", {"group": "interrupted"}, count=2)
    wait_until(lambda: light.read_text().count("\n") == 2)

    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "Sweep interrupted: 1 trial, 0 failed" in said, said + errors
    assert "Stopped. What was running is marked as failed." in errors
    first, second = light.read_text().split()

    process = start_main(*search)
    said, errors = process.communicate(timeout=120)

    assert process.returncode == 0, said + errors
    assert light.read_text().split() == [first, second, second]
    table = said[said.index("Sweep interrupted: 2 trials, 0 failed;") :]
    ranked = re.findall(r"^(\d) +(\d) +(\S+) .* (\w+)$", table, re.MULTILINE)
    trials = [
        ("0", first, f"0.{first}000", "reused"),
        ("1", second, f"0.{second}000", "finished"),
    ]
    assert ranked == sorted(trials, key=lambda trial: trial[2], reverse=True)
    api.flush()
    runs = api.runs("local/songs", {"group": "interrupted", "jobType": "train_random_forest"})
    states = [(str(found.config["max_depth"]), found.state) for found in runs]
    assert sorted(states) == sorted([(first, "finished"), (second, "failed"), (second, "finished")])
    best = api.artifact("songs/model_export:best-interrupted")
    assert str(best.logged_by().config["max_depth"]) == ranked[0][1]
