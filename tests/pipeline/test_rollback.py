"""The way back from a promotion swaps two aliases, or says why it can't."""

import os
import subprocess
import sys

import pytest
import wandb

from pipeline.root import ROOT
from wandb_server import ensure_running


@pytest.fixture(scope="module")
def api() -> wandb.Api:
    """A project with two versions of a model; v0 is tagged prod."""
    server = ensure_running()
    settings = wandb.Settings(base_url=server.base_url, api_key=server.api_key)
    with wandb.init(project="back", settings=settings) as run:
        for number in range(2):
            model = wandb.Artifact("model_export", type="model", metadata={"number": number})
            with model.new_file("number.txt") as file:
                file.write(str(number))
            run.log_artifact(model, aliases=[] if number else ["prod"]).wait()
    wandb.teardown()
    return wandb.Api(
        overrides={"base_url": server.base_url, "entity": "local"}, api_key=server.api_key
    )


def roll_back(*overrides: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: os.environ[name] for name in os.environ if name != "WANDB_SERVICE"}
    return subprocess.run(
        [sys.executable, "-m", "pipeline", "rollback", "main.wandb=local", *overrides],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_there_and_back(api: wandb.Api) -> None:
    nothing = roll_back("main.project_name=back")
    assert nothing.returncode == 1
    assert "of local/back/model_export, prod is model_export:v0, previous is nobody" in (
        nothing.stderr
    )
    newer = api.artifact("back/model_export:v1")
    newer.aliases.append("previous")
    newer.save()

    first, second = (roll_back("main.project_name=back") for _ in range(2))

    assert first.stdout == (
        "model_export:v1 is now tagged prod\nmodel_export:v0 is now tagged previous\n"
    )
    assert second.stdout == (
        "model_export:v0 is now tagged prod\nmodel_export:v1 is now tagged previous\n"
    )
    assert api.artifact("back/model_export:prod").version == "v0"
    assert api.artifact("back/model_export:previous").version == "v1"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("main.projectname=x", "Did you mean"),
        ("random_forest_pipeline.export_artifact=null", "export_artifact is null"),
        ("main.project_name=new", "prod is nobody, previous is nobody"),
    ],
)
def test_what_can_t_be_is_told(override: str, message: str) -> None:
    result = roll_back(override)

    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
