"""A pipeline that a sweep's agent started is that agent's run; its steps' runs are not."""

import os
from pathlib import Path

import pytest

from pipeline.agent_run import TRIAL_VARIABLES, open_trial
from pipeline.root import ROOT
from pipeline.variables import NOT_INHERITED
from tests.warm import WarmPython
from wandb_server import Server

AGENT = """
import os, sys, wandb
from pipeline.agent_run import open_trial

metric = {"name": sys.argv[1], "goal": "maximize"}
sweep = {"method": "random", "metric": metric, "parameters": {"a": {"values": [1, 2]}}}
os.environ["WANDB_SWEEP_ID"] = wandb.sweep(sweep, project="songs", entity="local")
with open_trial("group", ["roc_auc_ovo"], os.environ) as trial:
    print("began", trial.group)
"""


def test_without_an_agent_there_is_no_trial() -> None:
    with open_trial("group", ["r2"], {"WANDB_RUN_ID": "mine"}) as trial:
        assert trial is None


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("val/roc_auc_ovo", ""),
        ("roc_auc", "which the pipeline doesn't log. Did you mean 'val/roc_auc_ovo'"),
    ],
)
def test_a_sweep_that_goes_by_a_metric_that_nobody_logs_is_told(
    metric: str, said: str, module_server: Server, tmp_path: Path, python: WarmPython
) -> None:
    variables = {"PYTHONPATH": str(ROOT), "WANDB_PROJECT": "songs"}
    result = python.run(
        "-c",
        AGENT,
        metric,
        cwd=tmp_path,
        env=os.environ | module_server.environment() | variables,
        libraries=("hydra", "wandb.apis.public"),
    )

    assert said in result.stderr
    assert result.stdout.endswith("began group\n") is (said == "")


@pytest.mark.parametrize("name", TRIAL_VARIABLES)
def test_a_step_is_not_told_of_the_trial(name: str) -> None:
    assert name in NOT_INHERITED
